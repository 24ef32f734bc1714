package org.falconedge.demo.screens;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.falconedge.core.Json;
import org.falconedge.core.Models;

/** Models of the stand-in runtime, as `falcon-edge embed` would have put them into the app. */
final class Embedded {
    final Map<String, byte[]> files = new LinkedHashMap<>();
    private final List<Object> models = new ArrayList<>();

    /** What makes an object of JSON: names and values by turns. */
    static Map<String, Object> object(Object... fields) {
        Map<String, Object> object = new LinkedHashMap<>();
        for (int place = 0; place < fields.length; place += 2) {
            object.put((String) fields[place], fields[place + 1]);
        }
        return object;
    }

    static List<Object> list(Object... values) {
        return Arrays.asList(values);
    }

    /** A network of 1 x 2 x 2 grey pixels, whose scores are the pixels' numbers; they are the golden ones, plus `off`. */
    static Map<String, Object> network(String kind, float off) {
        boolean map = kind.equals("map");
        List<Object> shape = map ? list(2L, 2L, 2L) : list(4L);
        List<Object> batch = new ArrayList<>(list(1L));
        batch.addAll(shape);
        List<Object> places = map ? list(0L, 1L, 2L, 3L, 3L, 2L, 1L, 0L) : list(0L, 1L, 2L, 3L);
        Map<String, Object> model = object(
                "input", list(1L, 1L, 2L, 2L),
                "outputs", list(object("name", "output", "shape", batch, "pick", places)));
        float[] input = {0.25f, 0.5f, 0.75f, 1f};
        float[] golden = new float[places.size()];
        for (int place = 0; place < golden.length; place++) {
            golden[place] = input[((Long) places.get(place)).intValue()] + off;
        }
        return object("model", model, "shape", shape, "kind", kind, "input", input, "golden", golden);
    }

    /** Embed a network in fp32, and in int8, whose file is the same but for a name of its own. */
    Embedded add(String folder, String role, Map<String, Object> network) {
        Map<String, Object> model = new LinkedHashMap<>();
        for (Map.Entry<?, ?> field : ((Map<?, ?>) network.get("model")).entrySet()) {
            model.put((String) field.getKey(), field.getValue());
        }
        Map<String, byte[]> bundle = new LinkedHashMap<>();
        model.put("folder", folder);
        bundle.put("exports/model.fp32.onnx", utf8(Json.text(model)));
        model.put("precision", "int8");
        bundle.put("exports/model.int8.onnx", utf8(Json.text(model)));
        bundle.put("golden/00.input.bin", floats((float[]) network.get("input")));
        bundle.put("golden/00.output.bin", floats((float[]) network.get("golden")));
        Map<String, Object> manifest = manifest(folder, role, network);
        bundle.put("manifest.json", utf8(Json.text(manifest)));
        return put(folder, role, bundle);
    }

    /** Embed files as they are. */
    Embedded put(String folder, String role, Map<String, byte[]> bundle) {
        Map<String, Object> listed = new LinkedHashMap<>();
        for (Map.Entry<String, byte[]> file : bundle.entrySet()) {
            files.put(folder + "/" + file.getKey(), file.getValue());
            byte[] bytes = file.getValue();
            listed.put(file.getKey(), object("bytes", (long) bytes.length, "sha256", sha256(bytes)));
        }
        models.add(object("folder", folder, "name", folder, "role", role, "identity", folder, "files", listed));
        files.put("index.json", utf8(Json.text(object("schema_version", 1L, "models", models))));
        return this;
    }

    private static Map<String, Object> manifest(String folder, String role, Map<String, Object> network) {
        List<Object> exports = new ArrayList<>();
        List<Object> tolerances = new ArrayList<>();
        Map<String, Object> outputs = new LinkedHashMap<>();
        for (String precision : new String[] {"fp32", "int8"}) {
            String file = "exports/model." + precision + ".onnx";
            exports.add(object("file", file, "target", "onnx", "precision", precision, "layouts", object(), "macs", 1L));
            tolerances.add(object(
                    "file", file, "output", "output", "runtime", null, "rtol", 1e-4, "max_lsb", null, "differing", null,
                    "classes", true));
            outputs.put(file, "golden/00.output.bin");
        }
        return object(
                "schema_version", 2L,
                "name", folder,
                "labels", list("ankle boot", "bag", "coat", "dress"),
                "input", object(
                        "name", "input", "dtype", "float32", "layout", "NCHW", "shape", list(1L, 2L, 2L),
                        "mean", list(0.0), "std", list(1.0), "steps", list()),
                "outputs", list(object("name", "output", "shape", network.get("shape"), "kind", network.get("kind"))),
                "exports", exports,
                "quantization", null,
                "golden", object(
                        "vectors", list(object("input", "golden/00.input.bin", "outputs", outputs)),
                        "tolerances", tolerances),
                "parameters", 4L,
                "macs", 1L,
                "lineage", object("role", role, "identity", folder, "parent", null));
    }

    /** What an app reads them by. */
    Models.Source source() {
        return path -> {
            byte[] found = files.get(path);
            if (found == null) {
                throw new FileNotFoundException(path);
            }
            return new ByteArrayInputStream(found);
        };
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] floats(float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return bytes.array();
    }

    static String sha256(byte[] bytes) {
        try {
            StringBuilder text = new StringBuilder();
            for (byte each : MessageDigest.getInstance("SHA-256").digest(bytes)) {
                text.append(String.format("%02x", each));
            }
            return text.toString();
        } catch (java.security.NoSuchAlgorithmException error) {
            throw new AssertionError(error);
        }
    }
}
