package org.falconedge.core;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What Python's tests ask of this code (tests/support/probe.py): requests as lines of JSON on stdin, answers on stdout.
 *
 * <p>{"message": ...} is a Message; {"uncaught": ...} anything else that was thrown, which is a failure wherever it
 * comes up. Bytes are base64.
 */
public final class Probe {
    private final Worker worker = new Worker(new SystemPlatform());

    private Probe() {}

    public static void main(String[] arguments) throws IOException {
        PrintStream answers = new PrintStream(System.out, true, "UTF-8");
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        Probe probe = new Probe();
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(Json.text(probe.answer(line)));
        }
    }

    private Map<String, Object> answer(String line) {
        Map<String, Object> answer = new LinkedHashMap<>();
        try {
            Fields request = new Fields(Json.parse(line), "request");
            answer.put("value", value(request.text("ask"), request));
        } catch (Message error) {
            answer.put("message", error.getMessage());
        } catch (Throwable error) {
            StringBuilder trace = new StringBuilder(error.toString());
            for (StackTraceElement each : error.getStackTrace()) {
                trace.append("\n  ").append(each);
            }
            answer.put("uncaught", trace.toString());
        }
        return answer;
    }

    private Object value(String ask, Fields request) throws Exception {
        switch (ask) {
            case "prepared":
                return prepared(request);
            case "upright":
                return image(Pixels.upright(image(request), request.size("orientation", -9, 9)));
            case "quantized":
                return bytes(Quantization.quantize(floats(request), (float) request.number("scale"),
                        request.size("zero_point", -1000, 1000), dtype(request)));
            case "real":
                return bytes(Quantization.real(bytes(request, "values"), (float) request.number("scale"),
                        request.size("zero_point", -1000, 1000), dtype(request)));
            case "halves":
                return halves(request);
            case "summary":
                return summary(request);
            case "top":
                return top(request);
            case "reduced":
                return reduced(request);
            case "as_meant":
                Manifest.Integers integers = request.has("scale")
                        ? new Manifest.Integers(request.number("scale"), request.size("zero_point", -128, 127))
                        : null;
                return bytes(Outputs.real(ByteBuffer.wrap(bytes(request, "values")), tensor(request), integers));
            case "json":
                return Json.text(Json.parse(request.text("text")));
            case "stable":
                return Sampler.isStable(longs(request, "samples"));
            case "manifest":
                return manifest(Manifest.read(Models.text(bytes(request, "text"), "manifest.json")));
            case "models":
                return models(new File(request.text("folder")));
            case "worker":
                return worker.answer(request.text("line"));
            case "self_test":
                return selfTest(request);
            case "benchmark":
                return benchmark(request);
            case "lines":
                return lines(Results.lines(request.text("text")));
            case "environment":
                return Environment.now(new SystemPlatform(), null, null);
            case "runtimes":
                return runtimes();
            default:
                throw new IllegalArgumentException(ask);
        }
    }

    private static Object prepared(Fields request) throws Message {
        InputSpec spec = InputSpec.read(request.object("spec"));
        Image image = image(request);
        if (request.flag("fitting", false)) {
            spec = Pixels.fitting(spec, image);
        }
        Image prepared = Pixels.prepare(image, spec);
        Map<String, Object> found = image(prepared);
        found.put("input", bytes(Pixels.normalise(prepared, spec.mean, spec.std)));
        Placement placement = Pixels.placement(image, spec);
        long[] rows = new long[image.height];
        for (int row = 0; row < rows.length; row++) {
            rows[row] = placement.row(row);
        }
        long[] columns = new long[image.width];
        for (int column = 0; column < columns.length; column++) {
            columns[column] = placement.column(column);
        }
        found.put("rows", rows);
        found.put("columns", columns);
        return found;
    }

    private static Image image(Fields request) throws Message {
        int[] shape = request.sizes("shape", 1, Integer.MAX_VALUE);
        return new Image(shape[1], shape[0], shape[2], bytes(request, "pixels"));
    }

    private static Map<String, Object> image(Image image) {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("shape", new long[] {image.height, image.width, image.channels});
        found.put("pixels", bytes(image.pixels));
        return found;
    }

    private static Object halves(Fields request) throws Message {
        ByteBuffer values = ByteBuffer.wrap(bytes(request, "values")).order(ByteOrder.LITTLE_ENDIAN);
        ByteBuffer halves = ByteBuffer.allocate(values.limit() / 4).order(ByteOrder.LITTLE_ENDIAN);
        while (values.hasRemaining()) {
            halves.putShort(Half.of(values.getDouble()));
        }
        return bytes(halves.array());
    }

    private static Object summary(Fields request) throws Message {
        Summary found = Statistics.summary(longs(request, "samples"));
        return Arrays.<Object>asList(found.count, found.min, found.p25, found.p50, found.p75, found.p90, found.p95,
                found.p99, found.max, found.iqr);
    }

    private static Object top(Fields request) throws Message {
        float[] values = floats(request);
        List<Object> found = new ArrayList<>();
        for (int place : Outputs.topK(values, request.size("k", 0, Integer.MAX_VALUE))) {
            found.add(place);
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("top", found);
        answer.put("argmax", Outputs.argmax(values));
        answer.put("softmax", bytes(Outputs.softmax(values)));
        return answer;
    }

    private static Object reduced(Fields request) throws Message {
        ByteBuffer values = ByteBuffer.wrap(bytes(request, "values"));
        StringBuilder found = new StringBuilder();
        for (ByteBuffer each : Outputs.reduced(
                Arrays.asList(values), Arrays.asList(tensor(request)), request.text("reduction"))) {
            found.append(bytes(each.array()));
        }
        return found.toString();
    }

    private static Tensor tensor(Fields request) throws Message {
        int[] sizes = request.sizes("shape", 0, Integer.MAX_VALUE);
        long[] shape = new long[sizes.length];
        for (int axis = 0; axis < shape.length; axis++) {
            shape[axis] = sizes[axis];
        }
        return new Tensor("output", dtype(request), shape, request.text("layout", "NCHW"), 0, 0);
    }

    private static Object manifest(Manifest manifest) {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("name", manifest.name);
        found.put("labels", manifest.labels);
        found.put("identity", manifest.identity);
        found.put("exports", manifest.exports.size());
        found.put("vectors", manifest.vectors.size());
        List<Object> tolerances = new ArrayList<>();
        for (Manifest.Export export : manifest.exports) {
            tolerances.add(manifest.tolerances(export.file, "onnxruntime").size());
        }
        found.put("tolerances", tolerances);
        return found;
    }

    private static Object models(File folder) throws Message {
        List<Object> found = new ArrayList<>();
        for (Model model : new Models(source(folder)).list()) {
            List<Object> files = new ArrayList<>();
            for (Manifest.Export export : model.exports()) {
                model.bytes(export.file);
                files.add(export.file);
            }
            for (Manifest.Vector vector : model.manifest().vectors) {
                for (String file : vector.outputs.values()) {
                    if (model.has(file)) {
                        model.bytes(file);
                    }
                }
            }
            found.add(Arrays.<Object>asList(model.name, files));
        }
        return found;
    }

    private static Models.Source source(final File folder) {
        return new Models.Source() {
            @Override
            public InputStream open(String path) throws IOException {
                return new FileInputStream(new File(folder, path));
            }
        };
    }

    private static Object selfTest(Fields request) throws Message {
        Model model = new Models(source(new File(request.text("folder")))).named(request.text("model"));
        EngineOptions options = new EngineOptions(1, request.flag("signed", false), request.flag("gpu", false));
        String file = request.text("file");
        try (Engine engine = Engines.open(request.text("runtime"), model.bytes(file), options)) {
            SelfTest test = SelfTest.run(model, file, engine);
            List<Object> agreements = new ArrayList<>();
            for (Agreement each : test.agreements) {
                agreements.add(each.document());
            }
            Map<String, Object> found = new LinkedHashMap<>();
            found.put("passed", test.passed);
            found.put("text", test.text);
            found.put("agreements", agreements);
            found.put("accelerator", engine.accelerator());
            return found;
        }
    }

    private static Object benchmark(Fields request) throws Message {
        Models models = new Models(source(new File(request.text("folder"))));
        Platform platform = new SystemPlatform();
        Benchmark.Plan plan = new Benchmark.Plan();
        plan.runs = request.size("runs", 1, 1000);
        plan.warmUpSeconds = 0.05;
        plan.everyMs = request.number("every_ms", 0);
        plan.ticks = 5;
        plan.cold = request.flag("cold", false);
        plan.sustainedSeconds = request.has("sustained") ? request.size("sustained", 0, 10) : 0;
        final List<String> phases = new ArrayList<>();
        final Benchmark[] benchmark = new Benchmark[1];
        final int stop = request.has("cancel_after") ? request.size("cancel_after", 0, 1000) : -1;
        Benchmark.Progress progress = new Benchmark.Progress() {
            @Override
            public void at(String phase, int done, int total) {
                if (!phases.contains(phase)) {
                    phases.add(phase);
                }
                if (phase.equals("measuring") && stop >= 0 && done >= stop) {
                    benchmark[0].cancel();
                }
            }

            @Override
            public void burst(int second, double medianNs) {
                phases.add("burst " + second);
            }
        };
        Map<String, Object> before = Environment.now(platform, "80%, charging", 0);
        List<Benchmark.Found> found = new ArrayList<>();
        for (Model model : models.list()) {
            for (Manifest.Export export : model.exports()) {
                for (Library library : Engines.loading(export.file)) {
                    benchmark[0] = new Benchmark(platform);
                    if (stop == 0) {
                        benchmark[0].cancel();
                    }
                    found.add(benchmark[0].run(model, export.file, library.name(), plan, progress));
                }
            }
        }
        Map<String, Object> after = Environment.now(platform, null, null);
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("text", Results.text("phone:this one", 1_700_000_000_000L, before, after, plan, found));
        answer.put("phases", phases);
        return answer;
    }

    private static Object lines(List<Results.Line> lines) {
        List<Object> found = new ArrayList<>();
        for (Results.Line line : lines) {
            found.add(Arrays.<Object>asList(
                    line.created, line.model, line.file, line.runtime, line.threads, line.p50Ns));
        }
        return found;
    }

    private static Object runtimes() {
        List<Object> found = new ArrayList<>();
        for (Library library : Engines.available()) {
            found.add(library.name());
        }
        return found;
    }

    private static Dtype dtype(Fields request) throws Message {
        return Dtype.valueOf(request.text("dtype").toUpperCase(java.util.Locale.ROOT));
    }

    private static long[] longs(Fields request, String name) throws Message {
        List<?> list = request.list(name);
        long[] found = new long[list.size()];
        for (int index = 0; index < found.length; index++) {
            found[index] = ((Number) list.get(index)).longValue();
        }
        return found;
    }

    private static float[] floats(Fields request) throws Message {
        byte[] data = bytes(request, "values");
        float[] found = new float[data.length / 4];
        ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(found);
        return found;
    }

    private static byte[] bytes(Fields request, String name) throws Message {
        return Base64.getDecoder().decode(request.text(name));
    }

    private static String bytes(byte[] data) {
        return Base64.getEncoder().encodeToString(data);
    }

    private static String bytes(float[] values) {
        ByteBuffer data = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        data.asFloatBuffer().put(values);
        return bytes(data.array());
    }
}
