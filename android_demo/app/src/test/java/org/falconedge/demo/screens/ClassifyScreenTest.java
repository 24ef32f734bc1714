package org.falconedge.demo.screens;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.falconedge.core.Image;
import org.falconedge.core.Message;
import org.falconedge.core.Pixels;
import org.falconedge.engines.OrtLibrary;
import org.junit.Test;

/** Every state of the first screen. */
public class ClassifyScreenTest extends Phones {
    private static final Image COAT = grey(0, 50, 255, 100);

    private final List<String> seen = new ArrayList<>();

    private void watch(ClassifyScreen screen) {
        screen.attach(state -> seen.add(
                (state.busy ? "busy " : "") + (state.camera ? "camera " : "") + (state.live ? "live " : "")
                        + state.answers.size()));
    }

    @Test
    public void beforeTheModelsAreRead() {
        Demo demo = closed();
        assertEquals("Reading the models", demo.classify.state.notice);
        demo.start();
        assertEquals("Reading the models", demo.classify.state.notice);
        hand.all();
        assertEquals("Pick an image, or use the camera", demo.classify.state.notice);
        demo.start(); // once more, as when the device is turned
        assertTrue(hand.works.isEmpty());
    }

    /** The app was ended while the user was in the gallery: Android starts it anew with what was picked. */
    @Test
    public void anImageThatComesBeforeTheModelsWaits() {
        Demo demo = closed();
        demo.start();
        demo.classify.show(() -> COAT);
        assertFalse(demo.classify.state.busy);
        hand.all();
        assertEquals("coat", demo.classify.state.answers.get(0).lines.get(0).label);
    }

    @Test
    public void anImageIsClassified() {
        ClassifyScreen screen = started().classify;
        watch(screen);
        screen.show(() -> COAT);
        assertTrue(screen.state.busy);
        hand.all();
        assertEquals(Arrays.asList("0", "0", "busy 0", "1"), seen);
        assertSame(COAT, screen.state.picture);
        Answer answer = screen.state.answers.get(0);
        assertEquals("coat", answer.lines.get(0).label);
        assertEquals(4, answer.lines.size());
        float[] shares = org.falconedge.core.Outputs.softmax(new float[] {0, 50 / 255f, 1, 100 / 255f});
        assertEquals(Numbers.percent(shares[2]), answer.lines.get(0).text);
        assertEquals(Math.round(100 * shares[2]), answer.lines.get(0).percent);
        assertEquals("standard · fp32, Stand-in, threads: 1 (CPU)", answer.title);
        assertTrue(answer.latency, answer.latency.matches("Before [0-9.]+ ms, inference [0-9.]+ ms, after [0-9.]+ ms"));
        assertEquals("", answer.words);
        assertEquals("", screen.state.notice);
        assertEquals("", screen.state.speedup);
    }

    /** A network that ends in a softmax has made shares itself. */
    @Test
    public void sharesStayAsTheyAre() {
        ClassifyScreen screen = started().classify;
        screen.show(() -> grey(51, 0, 153, 51));
        hand.all();
        assertEquals("60.0%", screen.state.answers.get(0).lines.get(0).text);
        assertEquals("20.0%", screen.state.answers.get(0).lines.get(1).text);
    }

    @Test
    public void largerImagesAreResized() {
        ClassifyScreen screen = started().classify;
        byte[] pixels = new byte[100 * 60 * 3];
        for (int place = 0; place < pixels.length; place += 3) {
            pixels[place + (place / 3 % 100 < 50 ? 1 : 0)] = (byte) 255; // green at the left, red at the right
        }
        screen.show(() -> new Image(100, 60, 3, pixels));
        hand.all();
        assertEquals("", screen.state.notice);
        assertEquals("ankle boot", screen.state.answers.get(0).lines.get(0).label); // green is lighter than red
    }

    /** A photo that was taken sideways: its EXIF data says how it is turned, and classes follow from that. */
    @Test
    public void exifOrientation() {
        String[] lightest = {"ankle boot", "bag", "dress", "coat", "ankle boot", "bag", "dress", "coat"};
        Demo demo = started();
        for (int orientation = 1; orientation <= 8; orientation++) {
            int way = orientation;
            demo.classify.show(() -> Pixels.upright(grey(255, 0, 0, 0), way));
            hand.all();
            assertEquals(
                    "orientation " + way, lightest[way - 1], demo.classify.state.answers.get(0).lines.get(0).label);
        }
    }

    @Test
    public void twoModelsSideBySide() {
        ClassifyScreen screen = started().classify;
        screen.sideBySide(true);
        assertEquals(Arrays.asList("standard · fp32", "standard · int8", "falcon · fp32", "falcon · int8"),
                screen.state.first.models());
        assertEquals(1, screen.state.second.model());
        screen.chooseModel(true, 2);
        screen.show(() -> COAT);
        hand.all();
        assertEquals(2, screen.state.answers.size());
        assertTrue(screen.state.answers.get(1).latency, screen.state.answers.get(1).latency.endsWith("(medians of 5)"));
        assertTrue(screen.state.speedup, screen.state.speedup.matches(".* · fp32 is [0-9.]+ times as fast"));
        assertEquals(2, OrtLibrary.open);
        screen.sideBySide(false);
        hand.all();
        assertEquals(1, screen.state.answers.size());
        assertEquals("", screen.state.speedup);
    }

    @Test
    public void theFasterOneIsNamed() throws Exception {
        Demo demo = started();
        demo.classify.sideBySide(true);
        int[] runs = {0};
        OrtLibrary.onRun = () -> {
            try {
                Thread.sleep(runs[0]++ % 2 == 0 ? 20 : 1);
            } catch (InterruptedException error) {
                throw new AssertionError(error);
            }
        };
        demo.classify.show(() -> COAT); // two self-tests, two to warm up, and then by turns: the first one is the slower
        hand.all();
        assertTrue(demo.classify.state.speedup, demo.classify.state.speedup.startsWith("standard · int8 is "));
    }

    @Test
    public void anotherChoiceShowsTheImageAgain() {
        ClassifyScreen screen = started().classify;
        screen.show(() -> COAT);
        hand.all();
        screen.chooseModel(false, 1);
        assertTrue(screen.state.busy);
        hand.all();
        assertTrue(screen.state.answers.get(0).title.startsWith("standard · int8"));
        screen.chooseModel(false, 1); // Android tells of what is chosen already, too
        screen.chooseModel(false, 99);
        assertFalse(screen.state.busy);
        screen.chooseThreads(false, 2);
        hand.all();
        assertTrue(screen.state.answers.get(0).title, screen.state.answers.get(0).title.contains("threads: 4"));
    }

    @Test
    public void anotherChoiceMeanwhile() {
        ClassifyScreen screen = started().classify;
        screen.show(() -> COAT);
        screen.chooseModel(false, 2);
        hand.work();
        hand.show();
        assertTrue("the image is shown to the other one, too", screen.state.busy);
        hand.all();
        assertTrue(screen.state.answers.get(0).title.startsWith("falcon · fp32"));
    }

    @Test
    public void anotherImageMeanwhile() {
        ClassifyScreen screen = started().classify;
        Image other = grey(255, 0, 0, 0);
        screen.show(() -> COAT);
        screen.show(() -> other);
        hand.work();
        hand.show();
        assertNull("what came of the first one is nobody's any more", screen.state.picture);
        assertTrue(screen.state.busy);
        hand.all();
        assertSame(other, screen.state.picture);
        assertFalse(screen.state.busy);
        assertTrue(hand.works.isEmpty());
    }

    @Test
    public void cancelled() {
        ClassifyScreen screen = started().classify;
        screen.show(() -> COAT);
        screen.cancel();
        hand.all();
        assertFalse(screen.state.busy);
        assertEquals(0, screen.state.answers.size());
    }

    @Test
    public void theFirstUseIsASelfTest() {
        ClassifyScreen screen = started().classify;
        screen.show(() -> COAT);
        hand.all();
        assertTrue(screen.state.selfTest, screen.state.selfTest.contains("Self-test passed: 1 golden vector agree"));
        screen.show(() -> COAT);
        hand.all();
        assertEquals("", screen.state.selfTest);
        screen.chooseModel(false, 1);
        hand.all();
        assertTrue(screen.state.selfTest, screen.state.selfTest.contains("Self-test passed"));
    }

    @Test
    public void aFailedSelfTestIsNotForgotten() {
        embedded = new Embedded().add("standard", "standard", Embedded.network("classes", 0.5f));
        for (int time = 0; time < 2; time++) {
            ClassifyScreen screen = started().classify; // the second one is the app that was started again
            screen.show(() -> COAT);
            hand.all();
            assertTrue(screen.state.selfTest, screen.state.selfTest.contains("Self-test failed: differs"));
            assertEquals(1, screen.state.answers.size());
        }
    }

    @Test
    public void withoutGoldenVectors() {
        embedded = new Embedded().add("standard", "standard", Embedded.network("classes", 0));
        Map<String, byte[]> bundle = new LinkedHashMap<>();
        for (String file : new String[] {"manifest.json", "exports/model.fp32.onnx"}) {
            bundle.put(file, embedded.files.get("standard/" + file));
        }
        embedded = new Embedded().put("standard", "standard", bundle);
        ClassifyScreen screen = started().classify;
        assertEquals(Arrays.asList("standard · fp32"), screen.state.first.models()); // int8 is not there, and not offered
        screen.show(() -> COAT);
        hand.all();
        assertTrue(screen.state.selfTest, screen.state.selfTest.endsWith("the bundle has no golden vectors of this file"));
        assertEquals(1, screen.state.answers.size());
    }

    @Test
    public void aMapIsDrawnOverTheImage() {
        embedded = new Embedded().add("standard", "standard", Embedded.network("map", 0));
        ClassifyScreen screen = started().classify;
        screen.show(() -> COAT);
        hand.all();
        Answer answer = screen.state.answers.get(0);
        assertTrue(answer.lines.isEmpty());
        assertEquals(2, answer.picture.width);
        assertEquals(3, answer.picture.channels);
        // Each pixel's two channels are its own number and that of the one at the other end.
        assertEquals("ankle boot 50.0%, bag 50.0%", answer.words);
        int first = Overlay.colour(1);
        assertEquals((byte) ((first >> 16) / 2), answer.picture.pixels[0]);
    }

    @Test
    public void anyOtherOutputIsNumbers() {
        embedded = new Embedded().add("standard", "standard", Embedded.network("values", 0));
        ClassifyScreen screen = started().classify;
        screen.show(() -> grey(0, 255, 0, 255));
        hand.all();
        Answer answer = screen.state.answers.get(0);
        assertTrue(answer.lines.isEmpty());
        assertNull(answer.picture);
        assertTrue(answer.words, answer.words.startsWith("4: 0"));
    }

    /** A photo is drawn as it was picked, with the map where the network looked. */
    @Test
    public void aMapLiesWhereThePhotoWasSeen() {
        Map<String, Object> network = Embedded.network("map", 0);
        network.put("steps", Embedded.list(
                Embedded.object("op", "channels", "to", 1L),
                Embedded.object("op", "resize_shorter", "size", 2L),
                Embedded.object("op", "crop", "height", 2L, "width", 2L)));
        embedded = new Embedded().add("standard", "standard", network);
        ClassifyScreen screen = started().classify;
        byte[] pixels = new byte[3 * 4 * 8];
        Arrays.fill(pixels, (byte) 100);
        screen.show(() -> new Image(8, 4, 3, pixels)); // of which the middle 4 x 4 are seen
        hand.all();
        Image drawn = screen.state.answers.get(0).picture;
        assertEquals(8, drawn.width);
        assertEquals(4, drawn.height);
        for (int column = 0; column < 8; column++) {
            boolean seen = column >= 2 && column < 6;
            assertEquals("column " + column, seen ? 50 : 100, drawn.pixels[3 * column]); // class 0 is black
        }
    }

    /** A map of one channel has no classes: its numbers are greys. */
    @Test
    public void aMapOfOneChannelIsGrey() {
        embedded = new Embedded().add("standard", "standard", Embedded.network("depth", 0));
        ClassifyScreen screen = started().classify;
        screen.show(() -> grey(0, 255, 255, 0));
        hand.all();
        Answer answer = screen.state.answers.get(0);
        assertEquals((byte) 0, answer.picture.pixels[0]);
        assertEquals((byte) 255, answer.picture.pixels[3]);
        assertTrue(answer.words, answer.words.startsWith("1 x 2 x 2: 0"));
    }

    @Test
    public void everyOutputIsShown() {
        embedded = new Embedded().add("standard", "standard", Embedded.network("several", 0));
        ClassifyScreen screen = started().classify;
        screen.show(() -> COAT);
        hand.all();
        assertEquals("", screen.state.notice);
        Answer answer = screen.state.answers.get(0);
        assertEquals("coat", answer.lines.get(0).label);
        assertEquals(2, answer.picture.width);
        String[] words = answer.words.split("\n");
        assertEquals(2, words.length);
        assertTrue(words[0], words[0].startsWith("boxes: 4: 0"));
        assertEquals("mask: ankle boot 50.0%, bag 50.0%", words[1]);
    }

    private void fails(String expected, String moment, String how) {
        embedded = new Embedded().add("standard", "standard", failing(moment, how));
        ClassifyScreen screen = started().classify;
        screen.show(() -> COAT);
        hand.all();
        assertEquals(expected, screen.state.notice);
        assertFalse(screen.state.busy);
        assertEquals(0, screen.state.answers.size());
    }

    private static Map<String, Object> failing(String moment, String how) {
        Map<String, Object> network = Embedded.network("classes", 0);
        Map<String, Object> model = new LinkedHashMap<>();
        for (Map.Entry<?, ?> field : ((Map<?, ?>) network.get("model")).entrySet()) {
            model.put((String) field.getKey(), field.getValue());
        }
        model.put(moment, how);
        network.put("model", model);
        return network;
    }

    @Test
    public void whatGoesWrongIsAMessage() {
        fails("Load model failed: protobuf", "open", "Load model failed: protobuf");
        fails("This is too large for the memory of this app", "open", "memory");
        fails("That did not work: libonnxruntime.so: no such symbol", "open", "library");
        fails("That did not work: line 1 line 2", "open", "bug");
        fails("a kernel failed", "run", "a kernel failed");
    }

    @Test
    public void anEngineThatCannotBeClosedIsNobodysProblem() {
        embedded = new Embedded().add("standard", "standard", failing("close", "bug"));
        Demo demo = started();
        for (int model = 0; model < 4; model++) {
            demo.classify.chooseModel(false, model % 2);
            demo.classify.chooseThreads(false, model / 2);
            demo.classify.show(() -> COAT);
            hand.all();
            assertEquals(1, demo.classify.state.answers.size());
        }
        demo.hidden();
        hand.all();
        assertEquals(0, OrtLibrary.open);
    }

    @Test
    public void picturesThatCannotBeRead() {
        ClassifyScreen screen = started().classify;
        screen.show(() -> {
            throw new Message("This is no image that this device can read");
        });
        hand.all();
        assertEquals("This is no image that this device can read", screen.state.notice);
        screen.show(() -> {
            throw new IOException("gone");
        });
        hand.all();
        assertEquals("That did not work: gone", screen.state.notice);
        screen.show(() -> {
            throw new OutOfMemoryError();
        });
        hand.all();
        assertEquals("This is too large for the memory of this app", screen.state.notice);
        screen.show(() -> COAT); // and all is well again
        hand.all();
        assertEquals("", screen.state.notice);
    }

    @Test
    public void aFileThatIsNotWhatTheManifestSays() {
        Map<String, Object> network = Embedded.network("classes", 0);
        network.put("outputs", Embedded.list(Embedded.object(
                "name", "output", "kind", "classes", "shape", Embedded.list(5L), "pick", Embedded.list())));
        embedded = new Embedded().add("standard", "standard", network);
        ClassifyScreen screen = started().classify;
        screen.show(() -> COAT);
        hand.all();
        assertEquals(
                "exports/model.fp32.onnx: output output has 4 numbers, but the manifest says 5: embed the bundle again",
                screen.state.notice);
    }

    @Test
    public void live() {
        ClassifyScreen screen = started().classify;
        watch(screen);
        assertFalse(screen.wantsFrame());
        screen.live(true);
        assertFalse("no camera, nothing live", screen.state.live);
        screen.camera(true);
        assertFalse("a preview is not classified", screen.wantsFrame());
        screen.live(true);
        int[] decoded = {0};
        for (int frame = 0; frame < 5; frame++) { // they come faster than they are classified
            screen.frame(() -> {
                decoded[0]++;
                return COAT;
            });
        }
        hand.all();
        assertEquals(1, decoded[0]);
        assertEquals(1, screen.state.answers.size());
        assertTrue(screen.state.live);
        assertTrue(screen.wantsFrame());
        screen.live(false);
        screen.frame(() -> grey(1, 2, 3, 4));
        assertTrue(hand.works.isEmpty());
    }

    @Test
    public void capture() {
        ClassifyScreen screen = started().classify;
        screen.capture();
        screen.frame(() -> COAT);
        assertTrue("no camera, no frame", hand.works.isEmpty());
        screen.camera(true);
        screen.capture();
        screen.frame(() -> COAT);
        assertFalse("it is looked at now", screen.state.camera);
        hand.all();
        assertSame(COAT, screen.state.picture);
        screen.camera(true);
        screen.frame(() -> COAT); // of before
        assertTrue(hand.works.isEmpty());
    }

    @Test
    public void aLiveFrameThatFailsEndsIt() {
        ClassifyScreen screen = started().classify;
        screen.camera(true);
        screen.live(true);
        screen.frame(() -> {
            throw new IllegalStateException("buffer");
        });
        hand.all();
        assertFalse(screen.state.live);
        assertEquals("That did not work: buffer", screen.state.notice);
    }

    @Test
    public void theCameraFails() {
        ClassifyScreen screen = started().classify;
        screen.camera(true);
        screen.complain(Text.CAMERA_FAILED, "in use");
        assertFalse(screen.state.camera);
        assertEquals("The camera cannot be used: in use", screen.state.notice);
        screen.complain(Text.CAMERA_REFUSED);
        assertTrue(screen.state.notice.startsWith("The camera needs your permission"));
    }

    /** Android makes a new view when the device is turned; the old one is gone. */
    @Test
    public void turningTheDeviceKeepsTheState() {
        ClassifyScreen screen = started().classify;
        List<String> before = new ArrayList<>();
        Screen.View<ClassifyScreen.State> old = state -> before.add("old");
        screen.attach(old);
        screen.camera(true);
        screen.live(true);
        screen.frame(() -> COAT);
        screen.detach(old);
        int count = before.size();
        hand.all(); // nobody looks, and nothing is lost
        ClassifyScreen.State[] shown = {null};
        int[] times = {0};
        screen.attach(state -> {
            shown[0] = state;
            times[0]++;
        });
        screen.detach(old); // Android may do it late
        assertEquals(count, before.size());
        assertNotNull(shown[0].picture);
        assertEquals(1, shown[0].answers.size());
        assertTrue(shown[0].camera && shown[0].live);
        screen.live(false);
        assertFalse(shown[0].live);
        assertEquals(2, times[0]);
    }

    @Test
    public void noMoreThanTwoAreOpen() {
        ClassifyScreen screen = started().classify;
        for (int model : new int[] {1, 2, 3, 0, 1}) {
            screen.chooseModel(false, model);
            screen.show(() -> COAT);
            hand.all();
            assertTrue(OrtLibrary.open <= 2);
        }
    }
}
