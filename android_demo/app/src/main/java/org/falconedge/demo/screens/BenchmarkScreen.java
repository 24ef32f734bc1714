package org.falconedge.demo.screens;

import java.io.File;
import java.io.IOException;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.falconedge.core.Benchmark;
import org.falconedge.core.Environment;
import org.falconedge.core.Json;
import org.falconedge.core.Message;
import org.falconedge.core.Results;

/** Measures a model as the project does, keeps what was measured, and compares it with a baseline. */
public final class BenchmarkScreen extends RunScreen<BenchmarkScreen.State> {
    /** How to measure. */
    public enum Mode {
        BACK_TO_BACK,
        PACED,
        SUSTAINED
    }

    /** A figure, and how far it is from that of the baseline. */
    public static final class Row {
        public final String name;
        public final String value;
        public final String difference;

        Row(String name, String value, String difference) {
            this.name = name;
            this.value = value;
            this.difference = difference;
        }
    }

    /** A run of before. */
    public static final class Past {
        public final String id;
        public final String title;
        public final String text;
        public final boolean isBaseline;
        public final boolean isShown;

        Past(String id, String title, String text, boolean isBaseline, boolean isShown) {
            this.id = id;
            this.title = title;
            this.text = text;
            this.isBaseline = isBaseline;
            this.isShown = isShown;
        }
    }

    /** What is to be seen. */
    public static final class State extends RunScreen.State {
        public Mode mode = Mode.BACK_TO_BACK;
        public int runs = 100;
        public int minutes = 5;
        public boolean waitUntilCool;

        /** The run that is shown: its title and its figures. */
        public String title = "";

        public List<Row> rows = Collections.emptyList();

        /** Of a sustained run: seconds since its start, and the latency then, in milliseconds. */
        public double[] seconds = {};

        public double[] milliseconds = {};

        /** The chart in words. */
        public String chart = "";

        public List<Past> history = Collections.emptyList();

        State(Selection selection) {
            super(selection);
        }
    }

    private static final int MOST_RUNS = 100_000, MOST_MINUTES = 120;
    private static final double FRAME_MS = 1000.0 / 30;
    private static final int LOOK_SECONDS = 10, MOST_COOLING_SECONDS = 600;
    private static final double COOL = 0.7; // of the headroom: well below being slowed down

    private final Settings settings;
    private final OpenEngines engines;
    private final Device device;
    private final History history;
    private final File exports;
    private List<History.Run> past = Collections.emptyList();
    private String shown;

    /** `results` is where runs are kept, `exports` where they are copied for others; null: there is no such place. */
    BenchmarkScreen(
            Stage stage,
            Texts texts,
            Settings settings,
            OpenEngines engines,
            Device device,
            File results,
            File exports) {
        super(new State(new Selection("benchmark", device.cores(), settings)), stage, texts);
        this.settings = settings;
        this.engines = engines;
        this.device = device;
        this.history = new History(results);
        this.exports = exports;
    }

    /** The models have been read. */
    void offer(Shelf shelf, String notice) {
        state.selection.offer(shelf, 0);
        state.notice = notice;
        changed();
        stage.work(() -> {
            List<String> unread = new ArrayList<>();
            List<History.Run> found = history.runs(unread);
            stage.show(() -> found(found, unread));
        });
    }

    private void found(List<History.Run> runs, List<String> unread) {
        past = runs;
        if (!unread.isEmpty() && state.notice.isEmpty()) {
            state.notice = texts.of(Text.UNREAD, Words.join(", ", unread));
        }
        look();
    }

    public void mode(Mode mode) {
        state.mode = mode;
        changed();
    }

    /** How many runs, as typed. */
    public void runs(String text) {
        state.runs = number(text, state.runs, MOST_RUNS);
    }

    /** How many minutes a sustained run lasts, as typed. */
    public void minutes(String text) {
        state.minutes = number(text, state.minutes, MOST_MINUTES);
    }

    public void waitUntilCool(boolean wanted) {
        state.waitUntilCool = wanted;
        changed();
    }

    /** Measure what is chosen. */
    public void run() {
        if (isBusy()) {
            return;
        }
        Choice choice;
        try {
            choice = state.selection.choice(texts);
        } catch (Message error) {
            failed(error.getMessage());
            changed();
            return;
        }
        Mode mode = state.mode;
        boolean cool = state.waitUntilCool;
        Benchmark.Plan plan = plan(choice, mode);
        state.running = true;
        state.notice = "";
        state.title = state.selection.title(texts);
        state.rows = Collections.emptyList();
        state.seconds = new double[0];
        state.milliseconds = new double[0];
        state.chart = "";
        progress(texts.of(Text.LOADING), 0);
        start(job -> {
            engines.close();
            if (cool) {
                cool(job);
            }
            if (job.isCancelled()) {
                return () -> ended(null, past, texts.of(Text.CANCELLED));
            }
            return measured(choice, plan, mode, job);
        });
        changed();
    }

    private Benchmark.Plan plan(Choice choice, Mode mode) {
        Benchmark.Plan plan = new Benchmark.Plan();
        plan.threads = choice.threads;
        plan.gpu = choice.gpu;
        plan.runs = state.runs;
        if (mode == Mode.PACED) {
            plan.everyMs = FRAME_MS;
            plan.ticks = state.runs;
        } else if (mode == Mode.SUSTAINED) {
            plan.sustainedSeconds = 60 * state.minutes;
        }
        return plan;
    }

    /** Wait until the phone is cool, as far as it tells; on the working thread. */
    private void cool(Job job) throws InterruptedException {
        for (int second = 0; second < MOST_COOLING_SECONDS && !job.isCancelled(); second++) {
            if (second % LOOK_SECONDS == 0) {
                Integer status = device.thermalStatus();
                Double headroom = device.thermalHeadroom();
                if (status == null && headroom == null) {
                    return; // it will never tell
                }
                if ((status == null || status == 0) && (headroom == null || headroom < COOL)) {
                    return;
                }
            }
            int share = 100 * second / MOST_COOLING_SECONDS;
            meanwhile(job, () -> progress(texts.of(Text.COOLING), share));
            device.platform().sleep(1_000_000_000L);
        }
    }

    private Runnable measured(Choice choice, Benchmark.Plan plan, Mode mode, Job job) throws Exception {
        Map<String, Object> more = new LinkedHashMap<>();
        more.put("mode", mode.name().toLowerCase(Locale.ROOT).replace('_', '-'));
        more.put("thermal_headroom_before", device.thermalHeadroom());
        more.put("pss_before", device.pss());
        long created = device.now();
        Map<String, Object> before = environment();
        Benchmark benchmark = new Benchmark(device.platform());
        job.stopBy(benchmark::cancel);
        List<Double> seconds = new ArrayList<>();
        List<Double> medians = new ArrayList<>();
        Benchmark.Found found = benchmark.run(
                choice.model,
                choice.export.file,
                choice.library.name(),
                plan,
                new Benchmark.Progress() {
                    @Override
                    public void at(String phase, int done, int total) {
                        int share = total > 0 ? (int) (100L * done / total) : 0;
                        meanwhile(job, () -> progress(said(phase), share));
                    }

                    @Override
                    public void burst(int second, double medianNs) {
                        seconds.add((double) second);
                        medians.add(medianNs / 1e6);
                        double[] x = array(seconds);
                        double[] y = array(medians);
                        meanwhile(job, () -> chart(x, y));
                    }
                });
        Map<String, Object> after = environment();
        more.put("pss_after", device.pss());
        more.put("thermal_headroom_after", device.thermalHeadroom());
        if (found.bursts.isEmpty()) {
            boolean differs = found.selfTest != null && !found.selfTest.passed;
            String why = differs ? texts.of(Text.SELF_TEST_FAILED, found.selfTest.text) : texts.of(Text.CANCELLED);
            return () -> ended(null, past, why);
        }
        more.put("sustained_seconds", mode == Mode.SUSTAINED ? seconds : null);
        more.put("sustained_p50_ms", mode == Mode.SUSTAINED ? medians : null);
        String json = Results.text(
                device.name(), created, before, after, plan, Collections.singletonList(found));
        String id = new SimpleDateFormat("yyyyMMdd-HHmmss-SSS", Locale.ROOT).format(new Date(created));
        history.add(id, withOptions(json, more));
        String notice = found.cancelled ? texts.of(Text.CANCELLED_KEPT) : "";
        List<History.Run> runs = history.runs(new ArrayList<>());
        return () -> ended(id, runs, notice);
    }

    private Map<String, Object> environment() {
        return Environment.now(device.platform(), device.battery(), device.thermalStatus());
    }

    /** A results file that also says, among its options, what only a phone tells. */
    private static String withOptions(String json, Map<String, Object> more) throws Message {
        @SuppressWarnings("unchecked") // our own file
        Map<String, Object> document = (Map<String, Object>) Json.parse(json);
        Map<String, Object> options = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) document.get("options")).entrySet()) {
            options.put((String) entry.getKey(), entry.getValue());
        }
        options.putAll(more);
        document.put("options", options);
        return Json.text(document);
    }

    /** Show a run of before. */
    public void show(String id) {
        shown = id;
        look();
    }

    /** Compare with this run from now on, or with none, if it was this one. */
    public void baseline(String id) {
        settings.put("baseline", id.equals(settings.get("baseline")) ? null : id);
        look();
    }

    /** Forget a run. */
    public void remove(String id) {
        try {
            history.remove(id);
            past = new ArrayList<>(past);
            past.removeIf(run -> run.id.equals(id));
            if (id.equals(settings.get("baseline"))) {
                settings.put("baseline", null);
            }
            if (id.equals(shown)) {
                shown = null;
            }
        } catch (IOException error) {
            state.notice = Problems.text(error, texts);
        }
        look();
    }

    /** The file of the run that is shown, to be shared; null where none is. */
    public File shown() {
        return shown == null ? null : history.file(shown);
    }

    /** Copy the run that is shown to where a cable reaches it. */
    public void export() {
        if (shown == null) {
            return;
        }
        try {
            if (exports == null) {
                throw new IOException(texts.of(Text.NO_STORAGE));
            }
            File copy = new File(exports, shown + ".json");
            Files.replace(copy, Files.text(history.file(shown)));
            state.notice = texts.of(Text.EXPORTED, copy.getPath());
        } catch (IOException error) {
            state.notice = Problems.text(error, texts);
        }
        changed();
    }

    private void ended(String id, List<History.Run> runs, String notice) {
        past = runs;
        stopped(notice);
        if (id != null) {
            shown = id;
        }
        look();
    }

    @Override
    void failed(String line) {
        ended(null, past, line);
    }

    /** Show what is to be shown of the past. */
    private void look() {
        History.Run baseline = run(settings.get("baseline"));
        List<Past> rows = new ArrayList<>();
        for (History.Run run : past) {
            String figure = texts.of(
                    Text.PAST,
                    Numbers.milliseconds(run.line.p50Ns),
                    Numbers.milliseconds(run.line.p90Ns),
                    run.line.created);
            rows.add(new Past(run.id, title(run), figure, run == baseline, run.id.equals(shown)));
        }
        state.history = rows;
        History.Run run = run(shown);
        if (run != null) {
            state.title = title(run);
            state.rows = rows(run, baseline == run ? null : baseline);
            chart(
                    numbers(run.value("options", "sustained_seconds")),
                    numbers(run.value("options", "sustained_p50_ms")));
        } else if (!state.running) {
            state.title = "";
            state.rows = Collections.emptyList();
            chart(new double[0], new double[0]);
        }
        changed();
    }

    private String title(History.Run run) {
        return texts.of(Text.CHOICE, run.line.model + " · " + run.line.file, run.line.runtime, run.line.threads);
    }

    private List<Row> rows(History.Run run, History.Run baseline) {
        List<Row> rows = new ArrayList<>();
        Results.Line line = run.line;
        Results.Line other = baseline == null ? null : baseline.line;
        rows.add(latency(Text.P50, line.p50Ns, other == null ? 0 : other.p50Ns));
        rows.add(latency(Text.P90, line.p90Ns, other == null ? 0 : other.p90Ns));
        rows.add(latency(Text.P99, line.p99Ns, other == null ? 0 : other.p99Ns));
        Text[] paced = {Text.PACED_P50, Text.PACED_P90, Text.PACED_P99};
        String[] fields = {"p50_ns", "p90_ns", "p99_ns"};
        for (int place = 0; place < paced.length && run.number(History.PACED, fields[place]) != null; place++) {
            Double before = baseline == null ? null : baseline.number(History.PACED, fields[place]);
            rows.add(latency(paced[place], run.number(History.PACED, fields[place]), before == null ? 0 : before));
        }
        rows.add(change(Text.MEMORY, run, "pss", baseline));
        rows.add(peak(line.peak, other == null ? null : other.peak));
        rows.add(change(Text.HEADROOM, run, "thermal_headroom", null));
        rows.add(new Row(
                texts.of(Text.THERMAL),
                texts.of(Text.BEFORE_AFTER, thermal(run, "before"), thermal(run, "after")),
                ""));
        if (baseline != null) {
            rows.add(new Row(texts.of(Text.BASELINE), title(baseline), ""));
        }
        return rows;
    }

    private Row latency(Text name, double value, double other) {
        return new Row(
                texts.of(name),
                texts.of(Text.MILLISECONDS, Numbers.milliseconds(value)),
                Numbers.difference(value, other));
    }

    private Row peak(Long value, Long other) {
        return new Row(
                texts.of(Text.MEMORY_PEAK),
                figure(value == null ? null : value.doubleValue(), true),
                value == null || other == null ? "" : Numbers.difference(value, other));
    }

    private Row change(Text name, History.Run run, String option, History.Run baseline) {
        Double before = run.number("options", option + "_before");
        Double after = run.number("options", option + "_after");
        Double other = baseline == null ? null : baseline.number("options", option + "_after");
        boolean bytes = name == Text.MEMORY;
        return new Row(
                texts.of(name),
                texts.of(Text.BEFORE_AFTER, figure(before, bytes), figure(after, bytes)),
                after == null || other == null ? "" : Numbers.difference(after, other));
    }

    private String figure(Double value, boolean bytes) {
        if (value == null) {
            return texts.of(Text.UNKNOWN);
        }
        return bytes ? texts.of(Text.MEGABYTES, Numbers.megabytes(value)) : Numbers.text(value, 2);
    }

    private String thermal(History.Run run, String moment) {
        Double status = run.number(moment, "thermal_status");
        if (status == null) {
            return texts.of(Text.UNKNOWN);
        }
        Text[] names = {
            Text.THERMAL_NONE,
            Text.THERMAL_LIGHT,
            Text.THERMAL_MODERATE,
            Text.THERMAL_SEVERE,
            Text.THERMAL_CRITICAL,
            Text.THERMAL_EMERGENCY,
            Text.THERMAL_SHUTDOWN
        };
        int place = (int) Math.max(0, Math.min(status, names.length - 1));
        return texts.of(names[place]);
    }

    /** A phase of core's Benchmark in the user's language. */
    private String said(String phase) {
        switch (phase) {
            case "loading":
                return texts.of(Text.LOADING);
            case "testing":
                return texts.of(Text.TESTING);
            case "warming up":
                return texts.of(Text.WARMING_UP);
            case "paced":
                return texts.of(Text.MEASURING_PACED);
            default:
                return texts.of(Text.MEASURING);
        }
    }

    private void chart(double[] seconds, double[] milliseconds) {
        int count = Math.min(seconds.length, milliseconds.length);
        state.seconds = Arrays.copyOf(seconds, count);
        state.milliseconds = Arrays.copyOf(milliseconds, count);
        state.chart = count == 0
                ? ""
                : texts.of(
                        Text.CHART,
                        Numbers.text(milliseconds[0], 2),
                        Numbers.text(milliseconds[count - 1], 2),
                        Numbers.text(seconds[count - 1], 0));
    }

    private History.Run run(String id) {
        for (History.Run run : past) {
            if (run.id.equals(id)) {
                return run;
            }
        }
        return null;
    }

    private static double[] array(List<Double> values) {
        double[] array = new double[values.size()];
        for (int place = 0; place < array.length; place++) {
            array[place] = values.get(place);
        }
        return array;
    }

    private static double[] numbers(Object list) {
        List<Double> values = new ArrayList<>();
        if (list instanceof List) {
            for (Object each : (List<?>) list) {
                values.add(each instanceof Number ? ((Number) each).doubleValue() : 0);
            }
        }
        return array(values);
    }

    private static int number(String text, int otherwise, int most) {
        try {
            return Math.max(1, Math.min(Integer.parseInt(text.trim()), most));
        } catch (NumberFormatException error) {
            return otherwise;
        }
    }
}
