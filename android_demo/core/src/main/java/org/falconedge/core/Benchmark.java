package org.falconedge.core;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The benchmark of the app's screen: loads a file, tests it, warms up, measures; another thread can cancel it. */
public final class Benchmark {
    /** How to measure. */
    public static final class Plan {
        public int threads = 1;

        /** Inferences back to back, in this many bursts; between two of them progress is told. */
        public int runs = 50;

        public int bursts = 10;
        public int warmUpRuns = 5;
        public double warmUpSeconds = 1;

        /** Milliseconds between the ticks of a paced measurement; 0: none. */
        public double everyMs = 0;

        public int ticks = 60;

        /** Also with emptied caches, as many as `ticks`. */
        public boolean cold = false;

        /** Seconds of a sustained measurement, in bursts of a second, instead of `runs`; 0: none. */
        public int sustainedSeconds = 0;

        public boolean gpu = false;
    }

    /** Told of what is going on, on the thread that measures. */
    public interface Progress {
        /** phase: "loading", "testing", "warming up", "measuring", "paced", "cold"; done of total, runs or seconds. */
        void at(String phase, int done, int total);

        /** A burst of a sustained measurement has ended: the second in which it began, and its median latency. */
        void burst(int second, double medianNs);
    }

    /** What was found; null: not measured, or not known. */
    public static final class Found {
        public Model model;
        public String file;
        public int threads;
        public Map<String, Object> runtime;
        public Long loadNs;
        public Long firstInferenceNs;

        /** Back to back. */
        public final List<long[]> bursts = new ArrayList<>();

        /** When each burst began, in seconds after the first. */
        public final List<Double> seconds = new ArrayList<>();

        public Sampler.Samples paced;
        public double everyMs;
        public Sampler.Samples cold;
        public boolean stable;
        public Long memoryBare;
        public Long memoryBefore;
        public Long memoryAfter;
        public Long memoryPeak;
        public SelfTest selfTest;
        public boolean cancelled;

        /** Of all bursts; null before the first. */
        public Summary summary() {
            int count = 0;
            for (long[] burst : bursts) {
                count += burst.length;
            }
            long[] all = new long[count];
            int at = 0;
            for (long[] burst : bursts) {
                System.arraycopy(burst, 0, all, at, burst.length);
                at += burst.length;
            }
            return count == 0 ? null : new Summary(all);
        }
    }

    private static final long SECOND = 1_000_000_000;

    private final Platform platform;
    private volatile boolean cancelled;

    public Benchmark(Platform platform) {
        this.platform = platform;
    }

    /** Measure one exported file of a model in a runtime; one whose self-test fails is not measured. */
    public Found run(Model model, String file, String runtime, Plan plan, Progress progress) throws Message {
        progress.at("loading", 0, 1);
        Found found = new Found();
        found.model = model;
        found.file = file;
        found.threads = plan.threads;
        byte[] data = model.bytes(file);
        Library library = Engines.library(runtime);
        found.memoryBare = platform.resident();
        library.prepare();
        found.memoryBefore = platform.resident();
        long started = platform.nanoTime();
        try (Engine engine = library.open(data, new EngineOptions(plan.threads, false, plan.gpu))) {
            found.loadNs = Math.max(1, platform.nanoTime() - started);
            found.memoryAfter = platform.resident();
            measure(engine, plan, progress, found);
            found.memoryPeak = platform.peak();
        } catch (Message error) {
            throw error;
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            found.cancelled = true;
        } catch (Exception error) {
            throw new Message(Worker.oneLine(error), error);
        } catch (OutOfMemoryError error) {
            throw new Message(model.name + ": too large for the memory of this app", error);
        }
        return found;
    }

    /** End at the next inference, for good: what was measured is kept, and what is run after this measures nothing. */
    public void cancel() {
        cancelled = true;
    }

    private void measure(Engine engine, Plan plan, Progress progress, Found found) throws Exception {
        ByteBuffer input = Worker.noise(engine.input());
        long started = platform.nanoTime();
        engine.run(input);
        found.firstInferenceNs = Math.max(1, platform.nanoTime() - started);
        found.runtime = Worker.about(engine);
        progress.at("testing", 0, 1);
        found.selfTest = SelfTest.run(found.model, found.file, engine);
        if (!found.selfTest.passed && !found.selfTest.agreements.isEmpty()) {
            return;
        }
        Sampler sampler = new Sampler(engine, input, platform, null);
        progress.at("warming up", 0, plan.warmUpRuns);
        found.stable = sampler.warmUp(plan.warmUpRuns, plan.warmUpSeconds, null, watch(null, progress, 0)).stable;
        if (plan.sustainedSeconds > 0) {
            sustained(sampler, plan.sustainedSeconds, progress, found);
        } else {
            bursts(sampler, plan, progress, found);
        }
        if (plan.everyMs > 0 && !cancelled) {
            found.everyMs = plan.everyMs;
            found.paced = some(sampler.paced(plan.ticks, plan.everyMs, 0, 1, watch("paced", progress, plan.ticks)));
        }
        if (plan.cold && !cancelled) {
            found.cold = some(sampler.cold(plan.ticks, watch("cold", progress, plan.ticks)));
        }
        found.cancelled = cancelled;
    }

    private void bursts(Sampler sampler, Plan plan, Progress progress, Found found) throws Exception {
        long started = platform.nanoTime();
        int done = 0;
        for (int burst = 0; burst < plan.bursts && !cancelled; burst++) {
            progress.at("measuring", done, plan.runs);
            int runs = (int) ((long) plan.runs * (burst + 1) / plan.bursts) - done;
            done += add(sampler.backToBack(runs, watch(null, progress, 0)), started, found);
        }
        progress.at("measuring", done, plan.runs);
    }

    private void sustained(Sampler sampler, int seconds, Progress progress, Found found) throws Exception {
        final long started = platform.nanoTime();
        while (!cancelled && platform.nanoTime() - started < seconds * SECOND) {
            int second = (int) ((platform.nanoTime() - started) / SECOND);
            progress.at("measuring", second, seconds);
            final long until = started + (second + 1) * SECOND;
            Sampler.Samples samples = sampler.backToBack(Integer.MAX_VALUE, new Sampler.Watch() {
                @Override
                public boolean goOn(int done) {
                    return !cancelled && (done == 0 || platform.nanoTime() < until);
                }
            });
            if (add(samples, started, found) > 0) {
                progress.burst(second, new Summary(samples.nanoseconds).p50);
            }
        }
        progress.at("measuring", (int) ((platform.nanoTime() - started) / SECOND), seconds);
    }

    /** Keep a burst, if it has samples, and how many these are. */
    private int add(Sampler.Samples samples, long started, Found found) {
        int count = samples.nanoseconds.length;
        if (count > 0) {
            double took = 0;
            for (long each : samples.nanoseconds) {
                took += each;
            }
            found.bursts.add(samples.nanoseconds);
            found.seconds.add((platform.nanoTime() - started - took) / SECOND);
        }
        return count;
    }

    private static Sampler.Samples some(Sampler.Samples samples) {
        return samples.nanoseconds.length == 0 ? null : samples;
    }

    /** Goes on until it is cancelled, and tells of its progress where there is a phase to name. */
    private Sampler.Watch watch(final String phase, final Progress progress, final int total) {
        return new Sampler.Watch() {
            @Override
            public boolean goOn(int done) {
                if (phase != null) {
                    progress.at(phase, done, total);
                }
                return !cancelled;
            }
        };
    }
}
