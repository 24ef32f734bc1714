package org.falconedge.demo.screens;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.falconedge.core.Image;
import org.falconedge.core.InputSpec;
import org.falconedge.core.Models;
import org.falconedge.core.Pixels;
import org.falconedge.core.Placement;
import org.junit.After;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** What screens are made of. */
public class PiecesTest {
    @Rule
    public final TemporaryFolder storage = new TemporaryFolder();

    @After
    public void language() {
        Locale.setDefault(Locale.ROOT);
    }

    @Test
    public void numbersInTheUsersLanguage() {
        Locale.setDefault(Locale.ROOT);
        assertEquals("0.123", Numbers.milliseconds(123_456));
        assertEquals("1.23", Numbers.milliseconds(1_234_567));
        assertEquals("12.3", Numbers.milliseconds(12_345_678));
        assertEquals("123", Numbers.milliseconds(123_456_789));
        assertEquals("98.8%", Numbers.percent(0.9876));
        assertEquals("+50.0%", Numbers.difference(3, 2));
        assertEquals("-50.0%", Numbers.difference(1, 2));
        assertEquals("", Numbers.difference(1, 0));
        Locale.setDefault(Locale.GERMANY);
        assertEquals("1,23", Numbers.milliseconds(1_234_567));
    }

    @Test
    public void mapsAreDrawnOverImages() throws Exception {
        InputSpec input = new Models(new Embedded().add("one", "standard", Embedded.network("map", 0)).source())
                .list()
                .get(0)
                .manifest()
                .input;
        Image image = new Image(2, 2, 1, new byte[] {0, (byte) 200, 100, 50});
        Placement whole = Pixels.placement(image, input);
        int[] colours = Overlay.colours(new int[] {0, 1});
        Image drawn = Overlay.over(image, whole, 2, 2, colours, 1, 2); // the upper half, and the lower
        int colour = Overlay.colour(1);
        assertArrayEquals(
                new byte[] {
                    0, 0, 0, 100, 100, 100,
                    (byte) ((100 + (colour >> 16)) / 2),
                    (byte) ((100 + (colour >> 8 & 255)) / 2),
                    (byte) ((100 + (colour & 255)) / 2),
                    (byte) ((50 + (colour >> 16)) / 2),
                    (byte) ((50 + (colour >> 8 & 255)) / 2),
                    (byte) ((50 + (colour & 255)) / 2)
                },
                drawn.pixels);
        assertEquals(Overlay.colour(0), Overlay.colour(12)); // more classes than colours
        float[] numbers = {-1, Float.NaN, 1, 0, Float.POSITIVE_INFINITY};
        assertArrayEquals(new int[] {0, 0, 0xffffff, 0x808080, 0xffffff}, Overlay.greys(numbers));
        assertArrayEquals(new int[] {0, 0}, Overlay.greys(new float[] {3, 3}));
        Image large = new Image(3000, 1500, 3, new byte[13_500_000]);
        Placement middle = Pixels.placement(large, Pixels.fitting(input, large));
        Image small = Overlay.over(large, middle, 2, 2, colours, 1, 2);
        assertEquals("500 x 1000 x 3", small.toString());
        assertEquals(0, small.pixels[0]);
        assertEquals((byte) (colour >> 17), small.pixels[small.pixels.length - 3]);
    }

    @Test
    public void imagesAreDrawnSmaller() {
        Display grey = new Display(new Image(1, 2, 1, new byte[] {(byte) 0x80, 0x10}));
        assertArrayEquals(new int[] {0xff808080, 0xff101010}, grey.argb);
        Display colour = new Display(new Image(1, 1, 3, new byte[] {1, (byte) 0xfe, 3}));
        assertArrayEquals(new int[] {0xff01fe03}, colour.argb);
        Display large = new Display(new Image(4000, 3000, 3, new byte[36_000_000]));
        assertEquals(1000, large.width);
        assertEquals(750, large.height);
        Display odd = new Display(new Image(1025, 1, 1, new byte[1025]));
        assertEquals(513, odd.width);
    }

    @Test
    public void filesAreWholeOrNotThere() throws IOException {
        File file = new File(storage.getRoot(), "a/b/c.json");
        Files.replace(file, "one");
        Files.replace(file, "two");
        assertEquals("two", Files.text(file));
        assertArrayEquals(new String[] {"c.json"}, file.getParentFile().list());
        assertEquals(3, Files.bytes(new ByteArrayInputStream(new byte[3]), 3).length);
        try {
            Files.bytes(new ByteArrayInputStream(new byte[4]), 3);
            fail();
        } catch (IOException expected) {
            assertEquals("more than 3 bytes", expected.getMessage());
        }
        File blocked = storage.newFile("blocked");
        try {
            Files.replace(new File(blocked, "x.json"), "one");
            fail();
        } catch (IOException expected) {
            assertTrue(expected.getMessage(), expected.getMessage().contains("cannot be made"));
        }
    }

    @Test
    public void onlyOfferedFilesAreGiven() throws IOException {
        File results = storage.newFolder("results");
        File secret = storage.newFile("secret.json");
        File run = new File(results, "20261129-101112-013.json");
        Files.replace(run, "{}");
        Offered offered = new Offered(results, null);
        assertEquals("0/20261129-101112-013.json", offered.path(run));
        assertEquals(run, offered.file("/0/20261129-101112-013.json"));
        String[] others = {
            "0/../secret.json", "/0/..%2Fsecret.json", "1/x.json", "2/x.json", "9/x.json", "0/none.json", "", "0/", "0/.x",
            "results/20261129-101112-013.json", null
        };
        for (String path : others) {
            try {
                offered.file(path);
                fail(path);
            } catch (FileNotFoundException expected) {
                assertEquals(path + " is not offered", expected.getMessage());
            }
        }
        try {
            offered.path(secret);
            fail();
        } catch (IllegalArgumentException expected) {
            assertTrue(expected.getMessage().endsWith("is not offered"));
        }
    }

    @Test
    public void imagesInFolders() throws IOException {
        for (String path : new String[] {"coat/2.jpg", "coat/1.PNG", "coat/.hidden.jpg", "bag/x.txt", "bag/deep/a.webp", "b.jpeg"}) {
            Files.replace(new File(storage.getRoot(), path), "");
        }
        assertTrue(new File(storage.getRoot(), ".thumbnails").mkdir());
        List<String> names = new ArrayList<>();
        File none = new File(storage.getRoot(), "none");
        for (AccuracyScreen.Named named : Folder.images(file -> null, null, none, storage.getRoot())) {
            names.add(named.name);
        }
        assertEquals(Arrays.asList("b.jpeg", "bag/deep/a.webp", "coat/1.PNG", "coat/2.jpg"), names);
    }

    @Test
    public void problemsAreOneLine() {
        Texts texts = new Resources();
        assertEquals("That did not work: a b", Problems.text(new IllegalStateException("a\n  b "), texts));
        assertEquals("That did not work: NullPointerException", Problems.text(new NullPointerException(), texts));
        assertEquals("This is too large for the memory of this app", Problems.text(new OutOfMemoryError(), texts));
        char[] many = new char[1000];
        Arrays.fill(many, 'x');
        assertEquals(503, Problems.line(new IOException(new String(many))).length());
    }

    @Test
    public void everyTextIsInTheResources() {
        for (Text text : Text.values()) {
            String said = new Resources().of(text, "<1>", "<2>", "<3>", "<4>");
            assertFalse(text + ": " + said, said.isEmpty() || said.contains("%1$"));
        }
    }
}
