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

    /** An output that is the input's numbers at these places. */
    private static Map<String, Object> output(String name, String kind, List<Object> shape, Long... places) {
        return object("name", name, "kind", kind, "shape", shape, "pick", list((Object[]) places));
    }

    private static List<Object> outputs(String kind) {
        Map<String, Object> map = output("mask", "map", list(2L, 2L, 2L), 0L, 1L, 2L, 3L, 3L, 2L, 1L, 0L);
        switch (kind) {
            case "map":
                return list(map);
            case "depth":
                return list(output("depth", "map", list(1L, 2L, 2L), 0L, 1L, 2L, 3L));
            case "several":
                return list(
                        output("boxes", "values", list(4L), 0L, 1L, 2L, 3L),
                        output("scores", "classes", list(4L), 0L, 1L, 2L, 3L),
                        map);
            default:
                return list(output("output", kind, list(4L), 0L, 1L, 2L, 3L));
        }
    }

    /**
     * A network of 1 x 2 x 2 grey pixels, whose outputs are the pixels' numbers; they are the golden ones, plus `off`.
     *
     * @param kind "classes", "values", "map", "depth" (a map of one channel) or "several"
     */
    static Map<String, Object> network(String kind, float off) {
        List<Object> outputs = outputs(kind);
        List<Object> made = new ArrayList<>();
        float[] input = {0.25f, 0.5f, 0.75f, 1f};
        List<Float> golden = new ArrayList<>();
        for (Object each : outputs) {
            Map<?, ?> output = (Map<?, ?>) each;
            List<Object> batch = new ArrayList<>(list(1L));
            batch.addAll((List<?>) output.get("shape"));
            made.add(object("name", output.get("name"), "shape", batch, "pick", output.get("pick")));
            for (Object place : (List<?>) output.get("pick")) {
                golden.add(input[((Long) place).intValue()] + off);
            }
        }
        float[] all = new float[golden.size()];
        for (int place = 0; place < all.length; place++) {
            all[place] = golden.get(place);
        }
        Map<String, Object> model = object("input", list(1L, 1L, 2L, 2L), "outputs", made);
        return object("model", model, "outputs", outputs, "steps", list(), "input", input, "golden", all);
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
        List<Object> told = new ArrayList<>();
        for (Object each : (List<?>) network.get("outputs")) {
            Map<?, ?> output = (Map<?, ?>) each;
            told.add(object("name", output.get("name"), "shape", output.get("shape"), "kind", output.get("kind")));
        }
        for (String precision : new String[] {"fp32", "int8"}) {
            String file = "exports/model." + precision + ".onnx";
            exports.add(object("file", file, "target", "onnx", "precision", precision, "layouts", object(), "macs", 1L));
            for (Object each : (List<?>) network.get("outputs")) {
                Map<?, ?> output = (Map<?, ?>) each;
                tolerances.add(object(
                        "file", file, "output", output.get("name"), "runtime", null, "rtol", 1e-4, "max_lsb", null,
                        "differing", null, "classes", "classes".equals(output.get("kind"))));
            }
            outputs.put(file, "golden/00.output.bin");
        }
        return object(
                "schema_version", 2L,
                "name", folder,
                "labels", list("ankle boot", "bag", "coat", "dress"),
                "input", object(
                        "name", "input", "dtype", "float32", "layout", "NCHW", "shape", list(1L, 2L, 2L),
                        "mean", list(0.0), "std", list(1.0), "steps", network.get("steps")),
                "outputs", told,
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
