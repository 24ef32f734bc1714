package org.falconedge.core;

import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TimeZone;

/** The project's results files (docs/schemas/results.json, version 6). */
public final class Results {
    public static final int SCHEMA_VERSION = 6;

    private static final double NOISE_SHARE = 0.10;
    private static final double DRIFT_SHARE = 0.05;

    /** What a list of earlier runs shows of an entry. */
    public static final class Line {
        public String created;
        public String model;
        public String file;
        public String sha256;
        public String runtime;
        public int threads;
        public double p50Ns;
        public double p90Ns;
        public double p99Ns;

        /** Bytes of the process at its largest; null: unknown. */
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
            List<Benchmark.Found> found)
            throws Message {
        Map<String, Object> document = new LinkedHashMap<>();
        boolean interrupted = false;
        List<Object> entries = new ArrayList<>();
        for (Benchmark.Found each : found) {
            entries.add(entry(device, plan, each));
            interrupted |= each.cancelled;
        }
        document.put("schema_version", SCHEMA_VERSION);
        document.put("created", date(createdMillis));
        document.put("options", options(device, plan));
        document.put("before", before);
        document.put("after", after);
        document.put("interrupted", interrupted);
        document.put("peaks", null);
        document.put("entries", entries);
        return Json.text(document) + "\n";
    }

    /** A date, of System.currentTimeMillis(), as documents of the project have it. */
    public static String date(long millis) {
        SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'+00:00'", Locale.ROOT);
        format.setTimeZone(TimeZone.getTimeZone("UTC"));
        return format.format(new Date(millis));
    }

    /** The entries of a results file that have a latency back to back. Throws Message for what is none. */
    public static List<Line> lines(String json) throws Message {
        Fields document = Fields.of(json, "results");
        long version = document.version(); // what is read here has been the same since the first one
        if (version < 1 || version > SCHEMA_VERSION) {
            throw new Message("results of version " + version + ", and this app reads up to " + SCHEMA_VERSION);
        }
        List<Line> lines = new ArrayList<>();
        for (Fields entry : document.objects("entries")) {
            if (!entry.has("summary") || !entry.has("runtime")) {
                continue;
            }
            Fields summary = entry.object("summary");
            Line line = new Line();
            line.created = document.text("created");
            line.model = entry.object("model").text("name");
            line.file = entry.object("model").text("file");
            line.sha256 = entry.object("model").text("sha256");
            line.runtime = entry.object("runtime").text("name");
            line.threads = entry.object("runtime").size("threads", 1, Integer.MAX_VALUE);
            line.p50Ns = summary.number("p50_ns");
            line.p90Ns = summary.number("p90_ns");
            line.p99Ns = summary.number("p99_ns");
            boolean weighed = entry.has("memory") && entry.object("memory").has("peak");
            line.peak = weighed ? (Long) entry.object("memory").whole("peak", 0, Long.MAX_VALUE) : null;
            lines.add(line);
        }
        return lines;
    }

    private static Map<String, Object> options(String device, Benchmark.Plan plan) {
        Map<String, Object> options = new LinkedHashMap<>();
        options.put("threads", Collections.singletonList(plan.threads));
        options.put("runs", plan.runs);
        options.put("seconds", (double) plan.sustainedSeconds);
        options.put("processes", 1);
        options.put("rounds", plan.bursts);
        options.put("warm_up_runs", plan.warmUpRuns);
        options.put("warm_up_seconds", plan.warmUpSeconds);
        options.put("every", plan.everyMs / 1000);
        options.put("ticks", plan.ticks);
        options.put("cold", plan.cold);
        options.put("device", device);
        return options;
    }

    private static Map<String, Object> entry(String device, Benchmark.Plan plan, Benchmark.Found found)
            throws Message {
        Map<String, Object> entry = new LinkedHashMap<>();
        entry.put("model", model(found.model, found.file));
        Map<String, Object> runtime = null;
        if (found.runtime != null) {
            runtime = new LinkedHashMap<>(found.runtime);
            runtime.put("threads", found.threads);
        }
        entry.put("runtime", runtime);
        entry.put("device", device);
        entry.put("emulated", false);
        entry.put("cpus", new ArrayList<Object>());
        entry.put("load_ns", found.loadNs);
        entry.put("first_inference_ns", found.firstInferenceNs);
        entry.put("bursts", bursts(found.bursts));
        entry.put("summary", found.summary() == null ? null : summary(found.summary()));
        entry.put("intervals", null);
        entry.put("paced", paced(found));
        entry.put("cold", cold(found));
        entry.put("energy_j", null);
        entry.put("memory", memory(found));
        entry.put("quality", new ArrayList<Object>());
        entry.put("agreement", agreement(found.selfTest));
        entry.put("counts", null);
        entry.put("profile", null);
        entry.put("flags", flags(plan, found));
        entry.put("failure", failure(found.selfTest));
        return entry;
    }

    /** A file of a model, as results tell of it. */
    public static Map<String, Object> model(Model of, String file) throws Message {
        Manifest manifest = of.manifest();
        Manifest.Export export = manifest.export(file);
        if (export == null) {
            throw new Message(file + ": the manifest of " + of.name + " has no such export");
        }
        Map<String, Object> model = new LinkedHashMap<>();
        model.put("name", of.name);
        model.put("file", file.substring(file.lastIndexOf('/') + 1));
        model.put("sha256", of.sha256(file));
        model.put("bytes", of.size(file));
        model.put("target", export.target);
        model.put("precision", export.precision);
        model.put("role", manifest.role);
        model.put("identity", manifest.identity);
        model.put("parent", manifest.parentIdentity);
        model.put("parameters", manifest.parameters);
        model.put("macs", export.macs);
        model.put("operators", null);
        return model;
    }

    private static List<Object> bursts(List<long[]> found) {
        List<Object> bursts = new ArrayList<>();
        for (long[] samples : found) {
            Map<String, Object> burst = new LinkedHashMap<>();
            burst.put("process", 0);
            burst.put("round", bursts.size());
            burst.put("samples_ns", samples);
            bursts.add(burst);
        }
        return bursts;
    }

    private static Map<String, Object> summary(Summary found) {
        Map<String, Object> summary = new LinkedHashMap<>();
        summary.put("count", found.count);
        summary.put("min_ns", found.min);
        summary.put("p50_ns", found.p50);
        summary.put("p90_ns", found.p90);
        summary.put("p95_ns", found.p95);
        summary.put("p99_ns", found.p99);
        summary.put("iqr_ns", found.iqr);
        return summary;
    }

    private static Map<String, Object> timing(Sampler.Samples samples) {
        Map<String, Object> timing = new LinkedHashMap<>();
        timing.put("bursts", bursts(Collections.singletonList(samples.nanoseconds)));
        timing.put("summary", summary(new Summary(samples.nanoseconds)));
        timing.put("intervals", null);
        return timing;
    }

    private static Map<String, Object> paced(Benchmark.Found found) {
        if (found.paced == null) {
            return null;
        }
        Map<String, Object> paced = timing(found.paced);
        paced.put("every_ms", found.everyMs);
        paced.put("period_ms", found.everyMs);
        paced.put("missed", found.paced.missed);
        List<Object> mhz = new ArrayList<>();
        for (double each : found.paced.mhz == null ? new double[0] : found.paced.mhz) {
            mhz.add(each);
        }
        paced.put("mhz", mhz.isEmpty() ? null : mhz);
        return paced;
    }

    private static Map<String, Object> cold(Benchmark.Found found) {
        if (found.cold == null) {
            return null;
        }
        Map<String, Object> cold = timing(found.cold);
        cold.put("flushed", found.cold.flushed);
        return cold;
    }

    private static Map<String, Object> memory(Benchmark.Found found) {
        Map<String, Object> memory = new LinkedHashMap<>();
        memory.put("bare", found.memoryBare);
        memory.put("before_load", found.memoryBefore);
        memory.put("after_load", found.memoryAfter);
        memory.put("peak", found.memoryPeak);
        return memory;
    }

    private static List<Object> agreement(SelfTest test) {
        List<Object> found = new ArrayList<>();
        for (Agreement each : test == null ? new ArrayList<Agreement>() : test.agreements) {
            found.add(each.document());
        }
        return found;
    }

    private static Map<String, Object> failure(SelfTest test) {
        if (test == null || test.passed || test.agreements.isEmpty()) {
            return null;
        }
        Map<String, Object> failure = new LinkedHashMap<>();
        failure.put("kind", "wrong-outputs");
        failure.put("message", test.text);
        failure.put("signal", null);
        return failure;
    }

    /** Reasons to doubt a latency, each with what to do about it (runtime_bench/validity.py). */
    private static List<Object> flags(Benchmark.Plan plan, Benchmark.Found found) {
        List<Object> flags = new ArrayList<>();
        Summary summary = found.summary();
        if (summary == null) {
            return flags;
        }
        if (plan.sustainedSeconds == 0 && summary.count < plan.runs) {
            flags.add(flag("too-few-samples", summary.count + " samples of " + plan.runs, "let the run finish"));
        }
        if (summary.iqr / summary.p50 > NOISE_SHARE) {
            double share = 100 * summary.iqr / summary.p50;
            flags.add(flag("noisy",
                    String.format(Locale.ROOT, "the middle half of the samples spreads over %.0f%% of the median", share),
                    "stop other work on the device, or let it cool down"));
        }
        double drift = drift(found);
        if (Math.abs(drift) > DRIFT_SHARE) {
            flags.add(flag("drift",
                    String.format(Locale.ROOT, "the last quarter is %+.0f%% against the first", 100 * drift),
                    "warm up longer, cool the device, or look for throttling"));
        }
        flags.add(flag("unpinned", "its threads could move from CPU to CPU",
                "measure with falcon-edge bench, which names the CPUs"));
        return flags;
    }

    private static double drift(Benchmark.Found found) {
        List<Long> all = new ArrayList<>();
        for (long[] burst : found.bursts) {
            for (long each : burst) {
                all.add(each);
            }
        }
        int quarter = all.size() / 4;
        if (quarter == 0) {
            return 0;
        }
        return median(all.subList(all.size() - quarter, all.size())) / median(all.subList(0, quarter)) - 1;
    }

    private static double median(List<Long> part) {
        long[] samples = new long[part.size()];
        for (int index = 0; index < samples.length; index++) {
            samples[index] = part.get(index);
        }
        return new Summary(samples).p50;
    }

    private static Map<String, Object> flag(String flag, String reason, String remedy) {
        Map<String, Object> found = new LinkedHashMap<>();
        for (String[] field : Arrays.asList(
                new String[] {"flag", flag}, new String[] {"reason", reason}, new String[] {"remedy", remedy})) {
            found.put(field[0], field[1]);
        }
        return found;
    }
}
