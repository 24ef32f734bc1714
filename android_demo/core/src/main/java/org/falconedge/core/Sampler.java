package org.falconedge.core;

import java.nio.ByteBuffer;

/** Measures an engine with one input, in the ways of docs/measuring.md. */
public final class Sampler {
    /** Asked between inferences, outside of what is timed: whether to go on after so many. */
    public interface Watch {
        boolean goOn(int done);
    }

    /** Durations in nanoseconds, and what came beside them; what is not of the way of measuring is null. */
    public static final class Samples {
        public final long[] nanoseconds;

        /** Ticks that came while an inference was not done; of paced ones. */
        public final Long missed;

        /** Of the CPU before, at and after a tick; of paced ones where the kernel tells. */
        public final double[] mhz;

        /** Bytes that were written before each; of cold ones. */
        public final Long flushed;

        Samples(long[] nanoseconds, Long missed, double[] mhz, Long flushed) {
            this.nanoseconds = nanoseconds;
            this.missed = missed;
            this.mhz = mhz;
            this.flushed = flushed;
        }
    }

    /** cpus: those that this process was put on, or null. */
    public Sampler(Engine engine, ByteBuffer input, Platform platform, int[] cpus) {
    }

    /** Run until both bounds are reached and then, at most `until` seconds (null: not at all), until it is stable. */
    public boolean warmUp(int runs, double seconds, Double until, Watch watch) throws Exception {
        throw new UnsupportedOperationException();
    }

    /** One after the other. */
    public Samples backToBack(int runs, Watch watch) throws Exception {
        throw new UnsupportedOperationException();
    }

    /** One at the tick `turn` of every `turns` ticks of so many milliseconds; this thread sleeps in between. */
    public Samples paced(int runs, double everyMs, int turn, int turns, Watch watch) throws Exception {
        throw new UnsupportedOperationException();
    }

    /** Each with emptied caches. */
    public Samples cold(int runs, Watch watch) throws Exception {
        throw new UnsupportedOperationException();
    }
}
