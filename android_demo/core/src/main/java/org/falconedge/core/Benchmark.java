package org.falconedge.core;

import java.util.List;
import java.util.Map;

/** The benchmark of the app's screen: loads a file, warms up, measures; can be cancelled from another thread. */
public final class Benchmark {
    /** What to measure, and how. */
    public static final class Plan {
        public int threads = 1;
        public int runs = 50;
        public int warmUpRuns = 5;
        public double warmUpSeconds = 1;

        /** Milliseconds between the ticks of a paced measurement; 0: none. */
        public double everyMs = 0;

        public int ticks = 60;

        /** Also with emptied caches. */
        public boolean cold = false;

        /** Seconds of a sustained measurement, in bursts of a second, instead of `runs`; 0: none. */
        public int sustainedSeconds = 0;

        public boolean gpu = false;
    }

    /** Told of what is going on, on the thread that measures. */
    public interface Progress {
        /** phase: "loading", "warming up", "measuring", "paced", "cold"; done of total (runs, or seconds if sustained). */
        void at(String phase, int done, int total);

        /** A burst of a sustained measurement has ended: its second and its median latency. */
        void burst(int second, double medianNs);
    }

    /** What was found; see Results. Null: not measured, not known. */
    public static final class Found {
        public Model model;
        public String file;
        public String sha256;
        public long bytes;
        public Map<String, Object> runtime;
        public long loadNs;
        public long firstInferenceNs;

        /** Back to back, a burst each; `second` of a burst's start, by its place. */
        public List<long[]> bursts;

        public Sampler.Samples paced;
        public double everyMs;
        public Sampler.Samples cold;
        public Long memoryBare;
        public Long memoryBefore;
        public Long memoryAfter;
        public Long memoryPeak;
        public SelfTest selfTest;
        public boolean cancelled;

        /** Of all bursts; null before the first. */
        public Summary summary() {
            throw new UnsupportedOperationException();
        }
    }

    public Benchmark(Platform platform) {
    }

    /** Measure one exported file of a model in a runtime, its self-test before. */
    public Found run(Model model, String file, String runtime, Plan plan, Progress progress) throws Message {
        throw new UnsupportedOperationException();
    }

    /** End at the next inference; what was measured is kept. */
    public void cancel() {
        throw new UnsupportedOperationException();
    }
}
