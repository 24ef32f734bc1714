package org.falconedge.demo.screens;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.falconedge.core.Image;
import org.falconedge.core.Json;
import org.falconedge.engines.OrtLibrary;
import org.junit.Test;

/** Every state of the accuracy: images through core's own worker. */
public class AccuracyScreenTest extends Phones {
    private static final String[] CLASSES = {"ankle boot", "bag", "coat", "dress"};

    /** So many images, each of which is of the class of its folder but every tenth. */
    private static List<AccuracyScreen.Named> images(int count) {
        List<AccuracyScreen.Named> images = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            int[] pixels = new int[4];
            pixels[number % 4] = 200;
            String folder = CLASSES[number % 10 == 9 ? (number + 1) % 4 : number % 4];
            images.add(new AccuracyScreen.Named(folder + "/" + number + ".png", () -> grey(pixels)));
        }
        return images;
    }

    private Map<?, ?> answers(AccuracyScreen screen) throws Exception {
        return (Map<?, ?>) Json.parse(Files.text(screen.answers()));
    }

    @Test
    public void imagesInFoldersOfClasses() throws Exception {
        AccuracyScreen screen = started().accuracy;
        assertNull(screen.answers());
        StringBuilder seen = new StringBuilder();
        screen.attach(state -> seen.append(state.running ? state.phase + "|" : "-|"));
        screen.run(() -> images(200));
        assertTrue(screen.state.running);
        hand.all();
        assertEquals("180 of 200 images are of the class that their folder is called by (90.0%)", screen.state.result);
        assertEquals(
                "-|Loading|0 of 200 images|64 of 200 images|128 of 200 images|192 of 200 images|-|", seen.toString());
        Map<?, ?> answers = answers(screen);
        assertEquals(200, ((List<?>) answers.get("images")).size());
        assertEquals(Arrays.<Object>asList(0L, 1L, 2L, 3L, 0L), ((List<?>) answers.get("classes")).subList(0, 5));
        assertEquals(Arrays.<Object>asList(0L, 1L, 2L, 3L, 0L), ((List<?>) answers.get("targets")).subList(0, 5));
        assertEquals("model.fp32.onnx", ((Map<?, ?>) answers.get("model")).get("file"));
        assertEquals("standard", ((Map<?, ?>) answers.get("model")).get("role"));
        assertEquals(1L, ((Map<?, ?>) answers.get("runtime")).get("threads"));
        assertEquals("phone:Test", answers.get("device"));
        assertEquals("classes", answers.get("reduction"));
        assertFalse(new File(storage.getRoot(), "exports/accuracy.bin").exists());
        assertTrue(screen.state.notice, screen.state.notice.startsWith("Self-test passed: "));
        assertTrue(screen.state.notice, screen.state.notice.endsWith("\nWritten to " + screen.answers().getPath()));
        assertEquals(0, OrtLibrary.open);
        screen.run(() -> images(1));
        hand.all();
        assertEquals("Written to " + screen.answers().getPath(), screen.state.notice);
    }

    @Test
    public void foldersWhoseNamesAreNearlyThose() {
        AccuracyScreen screen = started().accuracy;
        Image boot = grey(255, 0, 0, 0);
        screen.run(() -> Arrays.asList(
                new AccuracyScreen.Named("Ankle_Boot/1.png", () -> boot),
                new AccuracyScreen.Named("test/ANKLE BOOT/2.png", () -> boot),
                new AccuracyScreen.Named("hat/3.png", () -> boot),
                new AccuracyScreen.Named("4.png", () -> boot)));
        hand.all();
        assertEquals("2 of 2 images are of the class that their folder is called by (100.0%)", screen.state.result);
    }

    @Test
    public void imagesOfNoClass() throws Exception {
        AccuracyScreen screen = started().accuracy;
        screen.run(() -> Arrays.asList(new AccuracyScreen.Named("picked", () -> grey(1, 2, 3, 4))));
        hand.all();
        assertEquals("1 images were shown to the model", screen.state.result);
        assertEquals(Arrays.asList((Object) null), answers(screen).get("targets"));
    }

    @Test
    public void imagesThatCannotBeRead() {
        AccuracyScreen screen = started().accuracy;
        List<AccuracyScreen.Named> images = images(4);
        images.add(2, new AccuracyScreen.Named("coat/broken.jpg", () -> {
            throw new IOException("cut off");
        }));
        images.add(new AccuracyScreen.Named("coat/large.jpg", () -> {
            throw new OutOfMemoryError();
        }));
        screen.run(() -> images);
        hand.all();
        assertEquals("4 of 4 images are of the class that their folder is called by (100.0%)", screen.state.result);
        assertEquals(
                "Could not be read: coat/broken.jpg (That did not work: cut off), "
                        + "coat/large.jpg (This is too large for the memory of this app)",
                screen.state.notice.split("\n")[1]);
    }

    @Test
    public void nothingToBeRead() {
        AccuracyScreen screen = started().accuracy;
        screen.run(ArrayList::new);
        hand.all();
        assertEquals("No images: push some with adb, or pick a folder of them", screen.state.notice);
        List<AccuracyScreen.Named> broken = new ArrayList<>();
        for (int number = 0; number < 5; number++) {
            broken.add(new AccuracyScreen.Named(number + ".jpg", () -> {
                throw new IOException("x");
            }));
        }
        screen.run(() -> broken);
        hand.all();
        assertEquals(
                "None of the images can be read: 0.jpg (That did not work: x), 1.jpg (That did not work: x), "
                        + "2.jpg (That did not work: x), ... (5)",
                screen.state.notice);
        screen.run(() -> {
            throw new IOException("the folder is gone");
        });
        hand.all();
        assertEquals("That did not work: the folder is gone", screen.state.notice);
        assertFalse(screen.state.running);
    }

    @Test
    public void cancelled() {
        AccuracyScreen screen = started().accuracy;
        int[] runs = {0};
        OrtLibrary.onRun = () -> {
            if (++runs[0] == 70) { // among the second 64
                screen.cancel();
            }
        };
        screen.run(() -> images(200));
        hand.all();
        assertEquals("Cancelled", screen.state.notice);
        assertEquals("", screen.state.result);
        assertNull(screen.answers());
        assertFalse(screen.state.running);
    }

    @Test
    public void maps() throws Exception {
        embedded = new Embedded().add("standard", "standard", Embedded.network("map", 0));
        AccuracyScreen screen = started().accuracy;
        screen.run(() -> images(3));
        hand.all();
        assertEquals("3 images were shown to the model", screen.state.result);
        assertNull(answers(screen).get("classes"));
        assertEquals(3 * 4, new File(storage.getRoot(), "exports/accuracy.bin").length()); // a byte a pixel
    }

    @Test
    public void values() throws Exception {
        embedded = new Embedded().add("standard", "standard", Embedded.network("values", 0));
        AccuracyScreen screen = started().accuracy;
        screen.run(() -> images(3));
        hand.all();
        assertEquals("3 images were shown to the model", screen.state.result);
        assertEquals("none", answers(screen).get("reduction"));
        assertEquals(3 * 4 * 4, new File(storage.getRoot(), "exports/accuracy.bin").length());
    }

    @Test
    public void aModelThatCannotBeLoaded() {
        embedded.files.put("standard/exports/model.fp32.onnx", new byte[0]);
        AccuracyScreen screen = started().accuracy;
        screen.run(() -> images(3));
        hand.all();
        assertTrue(screen.state.notice, screen.state.notice.contains("cut off"));
        assertEquals("", screen.state.result);
    }

    @Test
    public void npy() throws Exception {
        File file = storage.newFile("x.npy");
        Npy.write(file, Arrays.asList(grey(1, 2, 3, 4), grey(5, 6, 7, 8)));
        byte[] bytes = java.nio.file.Files.readAllBytes(file.toPath());
        assertEquals(128 + 8, bytes.length);
        String header = new String(bytes, 10, 118, "US-ASCII");
        assertTrue(header, header.startsWith("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2, 1), }"));
        assertEquals('\n', bytes[127]);
        assertArrayEquals(new byte[] {1, 2, 3, 4, 5, 6, 7, 8}, Arrays.copyOfRange(bytes, 128, 136));
    }
}
