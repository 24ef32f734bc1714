package org.falconedge.core;

import java.util.List;
import java.util.Map;

/** The project's results files (docs/schemas/results.json, version 5). */
public final class Results {
    public static final int SCHEMA_VERSION = 5;

    /** What a list of earlier runs shows of an entry. */
    public static final class Line {
        public String created;
        public String model;
        public String file;
        public String identity;
        public String runtime;
        public int threads;
        public double p50Ns;
        public double p90Ns;
        public double p99Ns;
        public Long peak;
    }

    private Results() {}

    /**
     * A results file of what was found on this device, as JSON.
     *
     * @param device how the device is called, as in "phone:Pixel 8"
     * @param before Environment.now before the first measurement; after: behind the last
     * @param createdMillis System.currentTimeMillis() at the start
     */
    public static String text(
            String device,
            long createdMillis,
            Map<String, Object> before,
            Map<String, Object> after,
            Benchmark.Plan plan,
            List<Benchmark.Found> found) {
        throw new UnsupportedOperationException();
    }

    /** The entries of a results file that have a latency back to back. Throws Message for what is none. */
    public static List<Line> lines(String json) throws Message {
        throw new UnsupportedOperationException();
    }
}
