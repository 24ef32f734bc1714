package org.falconedge.demo.screens;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.falconedge.core.Json;
import org.falconedge.core.Results;
import org.falconedge.demo.screens.BenchmarkScreen.Mode;
import org.falconedge.demo.screens.BenchmarkScreen.Row;
import org.falconedge.engines.OrtLibrary;
import org.junit.Test;

/** Every state of the benchmark. An inference takes a millisecond of the bench's clock, unless a test says another thing. */
public class BenchmarkScreenTest extends Phones {
    private static Row row(BenchmarkScreen screen, String name) {
        for (Row row : screen.state.rows) {
            if (row.name.equals(name)) {
                return row;
            }
        }
        throw new AssertionError(name);
    }

    private Map<?, ?> document(BenchmarkScreen screen) throws Exception {
        return (Map<?, ?>) Json.parse(Files.text(screen.shown()));
    }

    private void run(BenchmarkScreen screen) {
        bench.date += 1000;
        screen.run();
        hand.all();
    }

    private void takes(long microseconds) {
        OrtLibrary.onRun = () -> bench.clock += 1000 * microseconds;
    }

    @Test
    public void aRun() throws Exception {
        BenchmarkScreen screen = started().benchmark;
        List<String> phases = new ArrayList<>();
        screen.attach(state -> {
            String now = state.running ? state.phase + " " + state.percent : "-";
            if (phases.isEmpty() || !phases.get(phases.size() - 1).equals(now)) {
                phases.add(now);
            }
        });
        screen.runs("40");
        run(screen);
        assertEquals(
                "[-, Loading 0, Self-test 0, Warming up 0, Measuring 0, Measuring 10, Measuring 20, Measuring 30, "
                        + "Measuring 40, Measuring 50, Measuring 60, Measuring 70, Measuring 80, Measuring 90, "
                        + "Measuring 100, -]",
                phases.toString());
        assertEquals("1.00 ms", row(screen, "Median").value);
        assertEquals("1.00 ms", row(screen, "99th percentile").value);
        assertEquals("80.0 MB before, 80.0 MB after", row(screen, "Memory (PSS)").value);
        assertEquals("120.0 MB", row(screen, "Memory at its peak (RSS)").value);
        assertEquals("none before, none after", row(screen, "Thermal status").value);
        assertEquals("0.25 before, 0.25 after", row(screen, "Thermal headroom (1: slowed down)").value);
        assertEquals("", row(screen, "Median").difference);
        assertEquals("standard · model.fp32.onnx, onnxruntime, threads: 1", screen.state.title);
        assertEquals("", screen.state.chart);
        Results.Line line = Results.lines(Files.text(screen.shown())).get(0);
        assertEquals(1_000_100, line.p50Ns, 100);
        Map<?, ?> options = (Map<?, ?>) document(screen).get("options");
        assertEquals("back-to-back", options.get("mode"));
        assertEquals(80_000_000L, options.get("pss_after"));
        assertEquals(0, OrtLibrary.open);
    }

    @Test
    public void baselineAndDifferences() {
        BenchmarkScreen screen = started().benchmark;
        takes(2000);
        run(screen);
        String first = screen.state.history.get(0).id;
        screen.baseline(first);
        assertTrue(screen.state.history.get(0).isBaseline);
        assertEquals("not against itself", "", row(screen, "Median").difference);
        takes(1000);
        screen.chooseModel(2);
        bench.pss = 100_000_000L;
        run(screen);
        assertEquals("-50.0%", row(screen, "Median").difference);
        assertEquals("-50.0%", row(screen, "90th percentile").difference);
        assertEquals("+25.0%", row(screen, "Memory (PSS)").difference);
        assertEquals("standard · model.fp32.onnx, onnxruntime, threads: 1", row(screen, "Baseline").value);
        assertEquals(2, screen.state.history.size());
        assertTrue(screen.state.history.get(0).isShown);
        assertEquals(first, screen.state.history.get(1).id);
        screen.baseline(first); // once more: no longer
        assertEquals("", row(screen, "Median").difference);
    }

    @Test
    public void theHistoryOutlivesTheApp() {
        BenchmarkScreen screen = started().benchmark;
        run(screen);
        run(screen);
        screen.baseline(screen.state.history.get(1).id);
        BenchmarkScreen later = started().benchmark;
        assertEquals(2, later.state.history.size());
        assertTrue(later.state.history.get(1).isBaseline);
        assertEquals("nothing is shown before it is wanted", 0, later.state.rows.size());
        assertNull(later.shown());
        String id = later.state.history.get(0).id;
        later.show(id);
        assertEquals(id + ".json", later.shown().getName());
        assertEquals("+0.0%", row(later, "Median").difference);
        later.remove(later.state.history.get(1).id); // the baseline
        assertEquals(1, later.state.history.size());
        assertEquals("", row(later, "Median").difference);
        later.remove(id);
        assertNull(later.shown());
        assertEquals("", later.state.title);
        assertEquals(0, new File(storage.getRoot(), "results").list().length);
    }

    @Test
    public void filesOfTheHistoryThatCannotBeRead() throws Exception {
        BenchmarkScreen screen = started().benchmark;
        run(screen);
        File results = new File(storage.getRoot(), "results");
        Files.replace(new File(results, "broken.json"), "{");
        Files.replace(new File(results, "other.json"), "{\"schema_version\": 99}");
        Files.replace(new File(results, "list.json"), "[]");
        BenchmarkScreen later = started().benchmark;
        assertEquals(1, later.state.history.size());
        assertEquals("Could not be read: other.json, list.json, broken.json", later.state.notice);
    }

    @Test
    public void paced() throws Exception {
        BenchmarkScreen screen = started().benchmark;
        screen.mode(Mode.PACED);
        screen.runs("12");
        run(screen);
        assertTrue("it slept until each tick", bench.slept > 11 * 30_000_000L);
        assertEquals("1.00 ms", row(screen, "Median at 30 a second").value);
        Map<?, ?> entry = (Map<?, ?>) ((List<?>) document(screen).get("entries")).get(0);
        assertEquals(1000.0 / 30, (Double) ((Map<?, ?>) entry.get("paced")).get("every_ms"), 1e-9);
        screen.baseline(screen.state.history.get(0).id);
        takes(3000);
        run(screen);
        assertEquals("+200.0%", row(screen, "Median at 30 a second").difference);
    }

    @Test
    public void sustained() throws Exception {
        BenchmarkScreen screen = started().benchmark;
        screen.mode(Mode.SUSTAINED);
        screen.minutes("1");
        long[] taken = {1000};
        OrtLibrary.onRun = () -> bench.clock += 1000 * (bench.clock > 40_000_000_000L ? 2 : 1) * taken[0];
        run(screen);
        assertEquals(60, screen.state.seconds.length, 1);
        assertEquals(1, screen.state.milliseconds[1], 0.01);
        assertEquals(2, screen.state.milliseconds[screen.state.milliseconds.length - 1], 0.01);
        assertTrue(screen.state.chart, screen.state.chart.startsWith("Latency over time: 1.00 ms at the start, 2.00 ms after"));
        BenchmarkScreen later = started().benchmark;
        later.show(later.state.history.get(0).id);
        assertArrayEquals(screen.state.milliseconds, later.state.milliseconds, 0);
        assertEquals("sustained", ((Map<?, ?>) document(later).get("options")).get("mode"));
    }

    @Test
    public void cancelledBeforeAndWhileMeasuring() {
        BenchmarkScreen screen = started().benchmark;
        screen.run();
        screen.cancel();
        hand.all();
        assertEquals("Cancelled", screen.state.notice);
        assertFalse(screen.state.running);
        assertEquals(0, screen.state.history.size());
        int[] runs = {0};
        screen.runs("1000");
        OrtLibrary.onRun = () -> {
            bench.clock += 1_000_000;
            if (++runs[0] == 1500) { // the warm-up takes a thousand
                screen.cancel();
            }
        };
        run(screen);
        assertEquals("Cancelled: what had been measured is kept", screen.state.notice);
        assertEquals(1, screen.state.history.size());
        assertFalse(screen.state.running);
    }

    @Test
    public void cancelledWhileWarmingUp() {
        BenchmarkScreen screen = started().benchmark;
        int[] runs = {0};
        OrtLibrary.onRun = () -> {
            bench.clock += 1_000_000;
            if (++runs[0] == 10) {
                screen.cancel();
            }
        };
        run(screen);
        assertEquals("Cancelled", screen.state.notice);
        assertEquals(0, screen.state.history.size());
    }

    /** The last moment before core's benchmark starts, which begins as if nobody had cancelled it. */
    @Test
    public void cancelledJustBeforeItStarts() {
        BenchmarkScreen screen = started().benchmark;
        bench.onDate = screen::cancel;
        run(screen);
        assertEquals("Cancelled", screen.state.notice);
        assertEquals(0, screen.state.history.size());
    }

    @Test
    public void waitsUntilThePhoneIsCool() {
        BenchmarkScreen screen = started().benchmark;
        bench.thermal = 3;
        bench.headroom = 0.9;
        bench.onSleep = () -> {
            if (bench.slept == 25_000_000_000L) {
                bench.thermal = 0;
                bench.headroom = 0.5;
            }
        };
        screen.waitUntilCool(true);
        run(screen);
        assertEquals("it looks every ten seconds", 30_000_000_000L, bench.slept);
        assertEquals(1, screen.state.history.size());
        assertEquals("0.50 before, 0.50 after", row(screen, "Thermal headroom (1: slowed down)").value);
    }

    @Test
    public void aPhoneThatIsNearlyTooHotIsNotCool() {
        BenchmarkScreen screen = started().benchmark;
        bench.headroom = 0.9;
        bench.onSleep = () -> bench.headroom = bench.slept < 15_000_000_000L ? 0.9 : 0.5;
        screen.waitUntilCool(true);
        run(screen);
        assertEquals(20_000_000_000L, bench.slept);
    }

    @Test
    public void aPhoneThatNeverCoolsIsMeasuredAllTheSame() {
        BenchmarkScreen screen = started().benchmark;
        bench.thermal = 2;
        bench.headroom = null;
        screen.waitUntilCool(true);
        run(screen);
        assertEquals(600_000_000_000L, bench.slept);
        assertEquals("moderate before, moderate after", row(screen, "Thermal status").value);
        assertEquals("unknown before, unknown after", row(screen, "Thermal headroom (1: slowed down)").value);
    }

    @Test
    public void cancelledWhileItCools() {
        BenchmarkScreen screen = started().benchmark;
        bench.thermal = 4;
        bench.onSleep = screen::cancel;
        screen.waitUntilCool(true);
        run(screen);
        assertEquals("Cancelled", screen.state.notice);
        assertEquals(1_000_000_000L, bench.slept);
    }

    @Test
    public void aPhoneThatTellsNothing() {
        BenchmarkScreen screen = started().benchmark;
        bench.thermal = null;
        bench.headroom = null;
        bench.pss = null;
        screen.waitUntilCool(true);
        run(screen);
        assertEquals("nothing to wait for", 0, bench.slept);
        assertEquals("unknown before, unknown after", row(screen, "Thermal status").value);
        assertEquals("unknown before, unknown after", row(screen, "Memory (PSS)").value);
        assertEquals("", screen.state.notice);
    }

    @Test
    public void whatGoesWrongIsAMessage() {
        embedded.files.put("standard/exports/model.fp32.onnx", new byte[0]);
        BenchmarkScreen screen = started().benchmark;
        run(screen);
        assertTrue(screen.state.notice, screen.state.notice.contains("standard/exports/model.fp32.onnx: cut off"));
        assertFalse(screen.state.running);
        assertEquals(0, screen.state.history.size());
    }

    @Test
    public void aModelThatAnswersWrongIsNotMeasured() {
        embedded = new Embedded().add("standard", "standard", Embedded.network("classes", 0.5f));
        BenchmarkScreen screen = started().benchmark;
        run(screen);
        assertTrue(screen.state.notice, screen.state.notice.startsWith("Self-test failed: differs"));
        assertEquals(0, screen.state.history.size());
    }

    @Test
    public void withoutModels() {
        embedded = new Embedded();
        BenchmarkScreen screen = started().benchmark;
        screen.run();
        assertFalse(screen.state.running);
        assertTrue(screen.state.notice, screen.state.notice.startsWith("There is no model in this app"));
    }

    @Test
    public void numbersAsTheyAreTyped() {
        BenchmarkScreen screen = started().benchmark;
        screen.runs("250");
        assertEquals(250, screen.state.runs);
        screen.runs("");
        screen.runs("a");
        screen.runs("99999999999");
        assertEquals("what is no number changes nothing", 250, screen.state.runs);
        screen.runs("0");
        assertEquals(1, screen.state.runs);
        screen.runs("999999");
        assertEquals(100_000, screen.state.runs);
        screen.minutes("999");
        assertEquals(120, screen.state.minutes);
    }

    @Test
    public void exportAndShare() throws Exception {
        BenchmarkScreen screen = started().benchmark;
        assertNull(screen.shown());
        screen.export(); // of nothing
        run(screen);
        screen.export();
        File copy = new File(storage.getRoot(), "exports/" + screen.shown().getName());
        assertEquals("Written to " + copy.getPath(), screen.state.notice);
        assertEquals(Files.text(screen.shown()), Files.text(copy));
        Offered offered = new Offered(new File(storage.getRoot(), "results"));
        assertEquals(screen.shown(), offered.file(offered.path(screen.shown())));
    }

    @Test
    public void aDeviceWithoutStorageToExportTo() {
        Demo demo = new Demo(
                embedded.source(), hand, new Resources(), settings, bench,
                new File(storage.getRoot(), "results"), new File(storage.getRoot(), "cache"), null);
        demo.start();
        hand.all();
        run(demo.benchmark);
        demo.benchmark.export();
        assertEquals("That did not work: this device has no storage that a cable reaches", demo.benchmark.state.notice);
    }

    /** The device is turned while it measures. */
    @Test
    public void turningTheDeviceKeepsTheState() {
        BenchmarkScreen screen = started().benchmark;
        Screen.View<BenchmarkScreen.State> old = state -> {};
        screen.attach(old);
        int[] runs = {0};
        boolean[] seen = {false};
        OrtLibrary.onRun = () -> {
            bench.clock += 1_000_000;
            if (++runs[0] == 1010) {
                hand.show(); // what has happened meanwhile, on the screen's thread
                screen.detach(old);
                screen.attach(state -> seen[0] |= state.running && state.percent > 0);
            }
        };
        run(screen);
        assertTrue("the new view shows how far it is", seen[0]);
        assertEquals(1, screen.state.history.size());
        assertNotEquals(0, screen.state.rows.size());
    }
}
