package org.falconedge.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

public class ManifestTest {
    private static void refused(final String text, String expected) {
        Message error = assertThrows(Message.class, new ThrowingRunnable() {
            @Override
            public void run() throws Throwable {
                Manifest.read(text);
            }
        });
        assertTrue(error.getMessage(), error.getMessage().contains(expected));
        assertFalse(error.getMessage(), error.getMessage().contains("\n"));
    }

    @Test
    public void theExampleIsRead() throws Exception {
        Manifest manifest = Manifest.read(Documents.text("examples/manifest.json"));
        assertEquals("r1", manifest.name);
        assertEquals("Ankle boot", manifest.labels.get(9));
        assertEquals("classes", manifest.outputs.get(0).kind);
        assertEquals(4, manifest.exports.size());
        assertEquals(8, manifest.vectors.size());
        assertEquals(-56, manifest.outputIntegers.get("logits").zeroPoint);
        assertEquals(0.0001, manifest.tolerances("exports/model.fp32.onnx", "onnxruntime").get(0).rtol, 0);
        assertNull(manifest.export("exports/model.fp16.onnx"));
        assertEquals("compressed", manifest.role);
    }

    @Test
    public void whatDoesNotFitIsNamed() throws Exception {
        String good = Documents.text("examples/manifest.json");
        refused(good.replace("\"schema_version\": 2", "\"schema_version\": 3"), "of version 3");
        refused(good.replace("\"schema_version\": 2", "\"schema_version\": 1"), "pack the bundle again");
        refused(good.replace("\"mean\": [", "\"mean\": [1, "), "manifest.json: input.mean: 1 numbers");
        refused(good.replace("golden/00.pixels.bin", "../00.pixels.bin"), "inside of the bundle");
        refused(good.replace("\"kind\": \"classes\"", "\"kind\": \"words\""), "one of classes, map, values");
        refused("[]", "an object was expected");
        refused("{", "not JSON");
    }

    @Test
    public void mutationsAreReadOrAreMessages() throws Exception {
        String good = Documents.text("examples/manifest.json");
        Random random = new Random(0);
        int refused = 0;
        for (int index = 0; index < 1000; index++) {
            StringBuilder bad = new StringBuilder(good);
            for (int change = 0; change <= random.nextInt(3); change++) {
                int at = random.nextInt(bad.length());
                switch (random.nextInt(4)) {
                    case 0:
                        bad.setCharAt(at, (char) random.nextInt(1 << 16));
                        break;
                    case 1:
                        bad.delete(at, Math.min(bad.length(), at + 1 + random.nextInt(40)));
                        break;
                    case 2:
                        bad.insert(at, bad.substring(at, Math.min(bad.length(), at + 1 + random.nextInt(40))));
                        break;
                    default:
                        bad.setLength(at + 1);
                }
            }
            try {
                Manifest.read(bad.toString());
            } catch (Message expected) {
                refused++;
            }
        }
        assertTrue(refused + " of 1000", refused > 300);
    }

    /** Files in memory. */
    private static final class Files extends HashMap<String, String> implements Models.Source {
        private static final long serialVersionUID = 1L;

        @Override
        public InputStream open(String path) throws IOException {
            if (!containsKey(path)) {
                throw new FileNotFoundException("no such file");
            }
            return new ByteArrayInputStream(get(path).getBytes("UTF-8"));
        }
    }

    private static Files files() throws Exception {
        Files files = new Files();
        files.put("index.json", Documents.text("examples/embedded.json"));
        return files;
    }

    private static void refused(final Files files, final String file, String expected) {
        Message error = assertThrows(Message.class, new ThrowingRunnable() {
            @Override
            public void run() throws Throwable {
                new Models(files).named("falcon").bytes(file);
            }
        });
        assertTrue(error.getMessage(), error.getMessage().contains(expected));
    }

    @Test
    public void filesAreWhatTheIndexSays() throws Exception {
        Files files = files();
        refused(files, "manifest.json", "falcon/manifest.json: cannot be read");
        files.put("falcon/manifest.json", "{}");
        refused(files, "manifest.json", "cut off, with 2 of 12630 bytes");
        refused(files, "exports/model.int8.onnx", "not among the embedded files");
        StringBuilder spaces = new StringBuilder();
        for (int index = 0; index < 12630; index++) {
            spaces.append(' ');
        }
        files.put("falcon/manifest.json", spaces.toString());
        refused(files, "manifest.json", "damaged");
        files.put("falcon/manifest.json", spaces + " ");
        refused(files, "manifest.json", "more than the 12630 bytes");
    }

    @Test
    public void anIndexThatClaimsTooMuchAsksForNoMemory() throws Exception {
        Files files = files();
        files.put("index.json", files.get("index.json").replace("289633", "9000000000000000000"));
        files.put("falcon/exports/model.fp32.onnx", "x");
        refused(files, "exports/model.fp32.onnx", "cut off, with 1 of 9000000000000000000 bytes");
    }

    @Test
    public void anIndexThatIsNoneIsAMessage() throws Exception {
        Map<String, String> wrong = new HashMap<>();
        wrong.put("\"schema_version\": 1", "\"schema_version\": 2");
        wrong.put("\"folder\": \"falcon\"", "\"folder\": \"../falcon\"");
        wrong.put("\"golden/00.pixels.bin\"", "\"/golden/00.pixels.bin\"");
        for (Map.Entry<String, String> each : wrong.entrySet()) {
            Files files = files();
            files.put("index.json", files.get("index.json").replace(each.getKey(), each.getValue()));
            refused(files, "manifest.json", "index.json");
        }
        refused(new Files(), "manifest.json", "index.json: cannot be read");
    }
}
