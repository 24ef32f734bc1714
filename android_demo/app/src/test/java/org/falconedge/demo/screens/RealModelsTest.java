package org.falconedge.demo.screens;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.awt.image.Raster;
import java.io.File;
import java.io.FileInputStream;
import java.util.Locale;
import javax.imageio.ImageIO;
import org.falconedge.core.Image;
import org.falconedge.core.Models;
import org.falconedge.core.Platform;
import org.falconedge.core.SystemPlatform;
import org.junit.Assume;
import org.junit.Before;
import org.junit.Test;

/**
 * The whole app but for its looks, with real models in real runtimes: tests/android_demo/test_screens.py says where they are, and
 * looks at what was written.
 */
public class RealModelsTest {
    private static final String FOLDER = System.getProperty("falconedge.real");

    private final Hand hand = new Hand();
    private Demo demo;

    private static final class Machine implements Device {
        @Override
        public Platform platform() {
            return new SystemPlatform();
        }

        @Override
        public String name() {
            return "phone:this one";
        }

        @Override
        public int cores() {
            return 2;
        }

        @Override
        public String battery() {
            return null;
        }

        @Override
        public Integer thermalStatus() {
            return null;
        }

        @Override
        public Double thermalHeadroom() {
            return null;
        }

        @Override
        public Long pss() {
            return null;
        }

        @Override
        public long now() {
            return System.currentTimeMillis();
        }
    }

    @Before
    public void start() {
        Assume.assumeNotNull(FOLDER);
        Locale.setDefault(Locale.ROOT);
        Models.Source source = path -> new FileInputStream(new File(FOLDER, "models/" + path));
        demo = new Demo(
                source, hand, new Resources(), new Memory(), new Machine(),
                new File(FOLDER, "results"), new File(FOLDER, "cache"), new File(FOLDER, "exports"));
        demo.start();
        hand.all();
        assertEquals("Pick an image, or use the camera", demo.classify.state.notice);
    }

    /** The grey numbers of a file as they are: to ask for colours would apply a curve. */
    private static Image decoded(File file) throws Exception {
        Raster raster = ImageIO.read(file).getRaster();
        assertEquals(1, raster.getNumBands());
        byte[] pixels = new byte[raster.getWidth() * raster.getHeight()];
        for (int place = 0; place < pixels.length; place++) {
            pixels[place] = (byte) raster.getSample(place % raster.getWidth(), place / raster.getWidth(), 0);
        }
        return new Image(raster.getWidth(), raster.getHeight(), 1, pixels);
    }

    @Test
    public void everyFilePassesItsSelfTest() {
        demo.selfTest.run();
        hand.all();
        assertFalse(demo.selfTest.state.rows.isEmpty());
        for (SelfTestScreen.Row row : demo.selfTest.state.rows) {
            if (row.title.endsWith("GPU")) { // there is none here, and that is said
                assertEquals(SelfTestScreen.Stand.FAILED, row.stand);
                assertTrue(row.text, row.text.contains("litert-gpu"));
            } else {
                assertEquals(row.title + ": " + row.text, SelfTestScreen.Stand.PASSED, row.stand);
            }
        }
    }

    @Test
    public void twoModelsSideBySide() {
        ClassifyScreen screen = demo.classify;
        screen.sideBySide(true);
        for (int model = 0; model < screen.state.first.models().size(); model++) {
            screen.chooseModel(false, model);
            screen.show(() -> decoded(new File(FOLDER, "images").listFiles()[0].listFiles()[0]));
            hand.all();
            assertEquals("", screen.state.notice);
            assertEquals(2, screen.state.answers.size());
            assertEquals(5, screen.state.answers.get(0).lines.size());
            assertTrue(screen.state.speedup, screen.state.speedup.contains("times as fast"));
        }
        screen.chooseRuntime(false, 1);
        screen.chooseModel(false, 0);
        assertEquals("the runtime stays", 1, screen.state.first.runtime());
    }

    @Test
    public void accuracyAndBenchmarkAreWritten() throws Exception {
        Folder.Decoder decoder = file -> () -> decoded(file);
        demo.accuracy.run(() -> Folder.images(decoder, new File(FOLDER, "images")));
        hand.all();
        assertTrue(demo.accuracy.state.notice, demo.accuracy.state.result.contains("of 60 images"));
        for (BenchmarkScreen.Mode mode : BenchmarkScreen.Mode.values()) {
            if (mode != BenchmarkScreen.Mode.SUSTAINED) { // a minute
                demo.benchmark.mode(mode);
                demo.benchmark.runs("20");
                demo.benchmark.run();
                hand.all();
                assertEquals("", demo.benchmark.state.notice);
            }
        }
        assertEquals(2, demo.benchmark.state.history.size());
        demo.benchmark.baseline(demo.benchmark.state.history.get(1).id);
        demo.benchmark.export();
        assertTrue(demo.benchmark.state.notice, demo.benchmark.state.notice.startsWith("Written to "));
    }
}
