package org.falconedge.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** Measures an engine with one input, in the ways of docs/measuring.md, as runtime_bench/worker.py does. */
public final class Sampler {
    /** Asked between inferences, outside of what is timed: whether to go on after so many. */
    public interface Watch {
        boolean goOn(int done);
    }

    /** Goes on to the end. */
    public static final Watch TO_THE_END = new Watch() {
        @Override
        public boolean goOn(int done) {
            return true;
        }
    };

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

    /** How long a warm-up was, and whether the latency was stable at its end. */
    public static final class WarmUp {
        public final int runs;
        public final boolean stable;

        WarmUp(int runs, boolean stable) {
            this.runs = runs;
            this.stable = stable;
        }
    }

    private static final double STABLE_SHARE = 0.05;
    private static final int CLOCK_TICKS = 3;

    /** Nanoseconds before a tick. */
    private static final long CLOCK_EARLY = 5_000_000;

    private static final String CLOCK = "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq";

    private final Engine engine;
    private final ByteBuffer input;
    private final Platform platform;
    private final int[] cpus;

    /** cpus: those that this process was put on, or null. */
    public Sampler(Engine engine, ByteBuffer input, Platform platform, int[] cpus) {
        this.engine = engine;
        this.input = input;
        this.platform = platform;
        this.cpus = cpus == null ? new int[0] : cpus.clone();
    }

    /** Run until both bounds are reached and then, at most `until` seconds (null: not at all), until it is stable. */
    public WarmUp warmUp(int runs, double seconds, Double until, Watch watch) throws Exception {
        Series samples = new Series();
        long started = platform.nanoTime();
        long now = started;
        while (true) {
            double passed = (now - started) / 1e9;
            boolean enough = samples.count >= runs && passed >= seconds;
            if ((enough && (until == null || passed >= until || isStable(samples.values())))
                    || !watch.goOn(samples.count)) {
                return new WarmUp(samples.count, isStable(samples.values()));
            }
            engine.run(input);
            long before = now;
            now = platform.nanoTime();
            samples.add(now - before);
        }
    }

    /** One after the other. */
    public Samples backToBack(int runs, Watch watch) throws Exception {
        Series samples = new Series();
        while (samples.count < runs && watch.goOn(samples.count)) {
            samples.add(timed());
        }
        return new Samples(samples.values(), null, null, null);
    }

    /** One at the tick `turn` of every `turns` ticks of so many milliseconds; this thread sleeps in between. */
    public Samples paced(int runs, double everyMs, int turn, int turns, Watch watch) throws Exception {
        long every = (long) Math.rint(everyMs * 1e6);
        if (every < 1 || turns < 1 || turn < 0) {
            throw new Message("ticks come every so many milliseconds, more than 0, and a turn is one of several");
        }
        Series samples = new Series();
        long missed = 0;
        Ticks ticks = new Ticks(every * turns, every * turn);
        while (samples.count < runs && watch.goOn(samples.count)) {
            long tick = ticks.next();
            samples.add(timed());
            missed += Math.max(0, platform.nanoTime() - tick) / every;
        }
        boolean whole = samples.count == runs;
        double[] mhz = whole ? clock(every * turns, every * turn) : null;
        return new Samples(samples.values(), missed, mhz, null);
    }

    /** Each with emptied caches. */
    public Samples cold(int runs, Watch watch) throws Exception {
        Series samples = new Series();
        try (Flush flush = new Flush(platform, cpus)) {
            while (samples.count < runs && watch.goOn(samples.count)) {
                flush.run();
                samples.add(timed());
            }
            return new Samples(samples.values(), null, null, flush.bytes);
        }
    }

    /** Nanoseconds of one inference: its input is set, and its outputs are read. */
    private long timed() throws Exception {
        long started = platform.nanoTime();
        engine.run(input);
        return platform.nanoTime() - started;
    }

    /** MHz of the CPU before, at and after ticks, which are no samples: to ask the kernel warms caches up. */
    private double[] clock(long period, long phase) throws Exception {
        int cpu = platform.cpu();
        if (cpu < 0) {
            return null;
        }
        String path = String.format(java.util.Locale.ROOT, CLOCK, cpu);
        double[][] found = new double[3][CLOCK_TICKS];
        long early = Math.min(CLOCK_EARLY, period / 2);
        try {
            megahertz(path); // whether it tells at all
            Ticks ticks = new Ticks(period, phase - early);
            for (int index = 0; index < CLOCK_TICKS; index++) {
                ticks.next();
                found[0][index] = megahertz(path);
                platform.sleep(early);
                found[1][index] = megahertz(path);
                engine.run(input);
                found[2][index] = megahertz(path);
            }
        } catch (IOException | NumberFormatException unknown) { // it has no clock that it tells of
            return null;
        }
        double[] medians = new double[found.length];
        for (int moment = 0; moment < medians.length; moment++) {
            Arrays.sort(found[moment]);
            medians[moment] = found[moment][CLOCK_TICKS / 2];
        }
        return medians;
    }

    private double megahertz(String path) throws IOException {
        return Long.parseLong(platform.read(path)) / 1000.0;
    }

    /** Whether the median of the last quarter of the samples is within 5% of that of the quarter before. */
    static boolean isStable(long[] samples) {
        int quarter = Math.max(samples.length / 4, 3);
        if (samples.length < 2 * quarter) {
            return false;
        }
        long last = middle(samples, samples.length - quarter, samples.length);
        long before = middle(samples, samples.length - 2 * quarter, samples.length - quarter);
        return Math.abs(last - before) <= STABLE_SHARE * before;
    }

    private static long middle(long[] samples, int start, int stop) {
        long[] part = Arrays.copyOfRange(samples, start, stop);
        Arrays.sort(part);
        return part[part.length / 2];
    }

    /** Moments of the clock that all processes share, each once it has come; those that have passed are left out. */
    private final class Ticks {
        private final long period;
        private long tick;

        Ticks(long period, long phase) {
            this.period = period;
            long now = platform.nanoTime();
            tick = now + Math.floorMod(phase - now, period) - period;
        }

        /** Sleep until the next one. */
        long next() throws InterruptedException {
            long passed = platform.nanoTime() - tick;
            tick += Math.max(1, -Math.floorDiv(-passed, period)) * period;
            for (long left = tick - platform.nanoTime(); left > 0; left = tick - platform.nanoTime()) {
                platform.sleep(left);
            }
            return tick;
        }
    }

    /** Numbers, as many as come. */
    private static final class Series {
        int count;
        private long[] values = new long[256];

        void add(long value) {
            if (count == values.length) {
                values = Arrays.copyOf(values, 2 * count);
            }
            values[count++] = Math.max(1, value); // a clock that has stood still has measured less than its step
        }

        long[] values() {
            return Arrays.copyOf(values, count);
        }
    }
}
