package org.falconedge.core;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;

/**
 * Answers the requests of runtime_bench/worker.py about one loaded file (docs/phones.md).
 *
 * <p>As there: load, warm_up, measure, evaluate, replay, memory, bandwidth. profile, count and invoke are refused: no
 * runtime here can do them. cpu_seconds is for whoever starts this process, and so is the end of it (quit).
 */
public final class Worker implements AutoCloseable {
    /** Of the app (docs/phones.md). */
    public static final int CONTRACT = 1;

    private static final int MOST_RUNS = 10_000_000;
    private static final int MOST_THREADS = 1024;
    private static final long LARGEST_FILE = 256L << 20; // bytes that a worker may write to one
    private static final int LONGEST_ERROR = 500;
    private static final String[] OUT_OF_MEMORY = {"bad_alloc", "allocate memory"};

    /** Fields of every request, which whoever brings it has read. */
    private static final String[] OF_ALL = {"do", "id", "contract", "cpu_seconds"};

    private final Platform platform;
    private Engine engine;
    private ByteBuffer input;
    private int[] cpus;

    public Worker(Platform platform) {
        this.platform = platform;
    }

    /**
     * The answer to one request, never an exception: an error is {"error": one line, "kind": ...}.
     *
     * <p>`load` takes the file as `path` or `model`. Fields "id" and "do" are the request's own; "contract", where it
     * is there, must be 1.
     */
    public synchronized Map<String, Object> answer(Map<String, Object> request) {
        try {
            return answered(request);
        } catch (OutOfMemoryError error) {
            return error("out of memory", "memory");
        } catch (Throwable error) { // a runtime raises what it likes; who asked gets it as one line
            if (error instanceof InterruptedException) {
                Thread.currentThread().interrupt();
            }
            boolean missing = error instanceof MissingRuntime || error instanceof LinkageError;
            String text = oneLine(error);
            for (String sign : OUT_OF_MEMORY) {
                if (text.contains(sign)) {
                    return error(text, "memory");
                }
            }
            return error(text, missing ? "missing-runtime" : "runtime");
        }
    }

    /** The same of a line of JSON, as one. */
    public String answer(String line) {
        Map<String, Object> answer;
        try {
            Object request = Json.parse(line);
            if (!(request instanceof Map)) {
                throw new Message("a request is an object");
            }
            @SuppressWarnings("unchecked") // what Json gives has texts for names
            Map<String, Object> fields = (Map<String, Object>) request;
            answer = answer(fields);
        } catch (Message error) {
            answer = error(oneLine(error), "runtime");
        }
        return Json.text(answer);
    }

    @Override
    public synchronized void close() {
        if (engine != null) {
            engine.close();
            engine = null;
        }
    }

    private Map<String, Object> answered(Map<String, Object> request) throws Exception {
        if (request.get("contract") != null && !isContract(request.get("contract"))) {
            return error("contract " + request.get("contract") + " is not known to this app, which has " + CONTRACT
                    + "; update the app", "contract");
        }
        String action = String.valueOf(request.get("do"));
        Fields fields = new Fields(request, action);
        switch (action) {
            case "load":
                known(fields, "path", "model", "runtime", "threads", "cpus", "memory_limit", "signed", "driver");
                return load(fields);
            case "memory":
                known(fields);
                return weighed();
            case "profile":
            case "count":
            case "invoke":
                throw new Message(action + ": no runtime of this app can do that; measure instead");
            case "warm_up":
            case "measure":
            case "evaluate":
            case "replay":
            case "bandwidth":
                if (engine == null) {
                    throw new Message("no file is loaded");
                }
                break;
            default:
                throw new Message("no such request: " + action);
        }
        switch (action) {
            case "warm_up":
                known(fields, "runs", "seconds", "until");
                return warmUp(fields);
            case "measure":
                known(fields, "runs", "every_ms", "turn", "turns", "cold");
                return measure(fields);
            case "evaluate":
                known(fields, "pixels", "mean", "std", "start", "stop", "outputs", "reduction");
                return evaluate(fields);
            case "replay":
                known(fields, "inputs", "outputs");
                return replay(fields);
            default:
                known(fields, "size", "times");
                return bandwidth(fields);
        }
    }

    private Map<String, Object> load(Fields fields) throws Exception {
        File file = new File(fields.text(fields.has("path") ? "path" : "model"));
        String runtime = fields.text("runtime");
        EngineOptions options =
                new EngineOptions(fields.size("threads", 1, MOST_THREADS), fields.flag("signed", false), false);
        int[] wanted = fields.has("cpus") ? fields.sizes("cpus", 0, Integer.MAX_VALUE) : new int[0];
        if (fields.has("memory_limit")) {
            throw new Message("a limit of memory cannot be set here: leave it out");
        }
        close();
        cpus = wanted.length == 0 ? null : wanted;
        if (cpus != null) {
            platform.pin(cpus, false); // first: libraries count CPUs when they are loaded, and start threads
        }
        Library library = Engines.library(runtime);
        Long bare = platform.resident();
        library.prepare(); // before the clock: that is for the file alone
        if (!file.isFile()) {
            throw new Message(file + ": there is no such file");
        }
        Long before = platform.resident();
        long started = platform.nanoTime();
        engine = library.open(file, options);
        long loaded = platform.nanoTime();
        Long after = platform.resident();
        input = noise(engine.input());
        long startedFirst = platform.nanoTime();
        engine.run(input);
        long first = platform.nanoTime() - startedFirst;
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("runtime", about(engine));
        answer.put("load_ns", Math.max(1, loaded - started));
        answer.put("first_inference_ns", Math.max(1, first));
        Map<String, Object> takes = described(engine.input());
        takes.put("layout", engine.input().layout);
        answer.put("input", takes);
        List<Object> gives = new ArrayList<>();
        for (Tensor output : engine.outputs()) {
            gives.add(described(output));
        }
        answer.put("outputs", gives);
        answer.put("memory_bare", bare);
        answer.put("memory_before_load", before);
        answer.put("memory_after_load", after);
        TreeSet<Integer> affinity = new TreeSet<>();
        for (int cpu : platform.cpus()) {
            affinity.add(cpu);
        }
        answer.put("cpus", new ArrayList<>(affinity));
        answer.put("numpy", "");
        answer.put("python", "");
        return answer;
    }

    private Map<String, Object> warmUp(Fields fields) throws Exception {
        Double until = fields.has("until") ? Double.valueOf(fields.number("until")) : null;
        int runs = fields.size("runs", 0, MOST_RUNS);
        Sampler.WarmUp found = sampler().warmUp(runs, fields.number("seconds"), until, Sampler.TO_THE_END);
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("runs", found.runs);
        answer.put("stable", found.stable);
        return answer;
    }

    private Map<String, Object> measure(Fields fields) throws Exception {
        int runs = fields.size("runs", 0, MOST_RUNS);
        Map<String, Object> answer = new LinkedHashMap<>();
        if (fields.has("every_ms")) {
            int turn = fields.has("turn") ? fields.size("turn", 0, MOST_RUNS) : 0;
            int turns = fields.has("turns") ? fields.size("turns", 1, MOST_RUNS) : 1;
            Sampler.Samples found = sampler().paced(runs, fields.number("every_ms"), turn, turns, Sampler.TO_THE_END);
            answer.put("samples_ns", found.nanoseconds);
            answer.put("missed", found.missed);
            answer.put("mhz", asList(found.mhz));
        } else if (fields.flag("cold", false)) {
            Sampler.Samples found = sampler().cold(runs, Sampler.TO_THE_END);
            answer.put("samples_ns", found.nanoseconds);
            answer.put("flushed", found.flushed);
        } else {
            answer.put("samples_ns", sampler().backToBack(runs, Sampler.TO_THE_END).nanoseconds);
            answer.put("energy_j", null); // phones have no counter for that
        }
        return answer;
    }

    private Map<String, Object> evaluate(Fields fields) throws Exception {
        float[] mean = floats(fields.numbers("mean"));
        float[] std = floats(fields.numbers("std"));
        long start = fields.whole("start", 0, Long.MAX_VALUE);
        String reduction = fields.text("reduction", "none");
        long images = 0;
        try (Npy pixels = new Npy(new File(fields.text("pixels")));
                Written written = new Written(fields.text("outputs"))) {
            sized(engine.input(), pixels);
            long stop = Math.min(fields.whole("stop", 0, Long.MAX_VALUE), pixels.images);
            for (long number = start; number < stop; number++) {
                float[] values = pixels.input(number, mean, std);
                List<ByteBuffer> found = engine.run(Pixels.input(values, engine.input()));
                for (ByteBuffer output : Outputs.reduced(found, engine.outputs(), reduction)) {
                    written.write(output);
                }
                images++;
            }
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("images", images);
        return answer;
    }

    private Map<String, Object> replay(Fields fields) throws Exception {
        List<String> inputs = fields.texts("inputs");
        List<String> outputs = fields.texts("outputs");
        if (inputs.size() != outputs.size()) {
            throw new Message("replay: " + inputs.size() + " inputs and " + outputs.size() + " outputs");
        }
        for (int index = 0; index < inputs.size(); index++) {
            long size = 4L * engine.input().count();
            byte[] data = Hash.read(new FileInputStream(inputs.get(index)), size, inputs.get(index));
            if (data.length != size) {
                throw new Message(inputs.get(index) + ": " + data.length + " bytes, and the file takes " + size);
            }
            List<ByteBuffer> found = engine.run(Pixels.input(floats(data), engine.input()));
            try (Written written = new Written(outputs.get(index))) {
                for (ByteBuffer output : found) {
                    written.write(output);
                }
            }
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("vectors", inputs.size());
        return answer;
    }

    private Map<String, Object> weighed() {
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("resident", platform.resident());
        answer.put("peak", platform.peak());
        return answer;
    }

    /** The fastest of several copies of so many bytes, each read once and written once. */
    private Map<String, Object> bandwidth(Fields fields) throws Message {
        byte[] source = new byte[fields.size("size", 1, Integer.MAX_VALUE - 8)];
        byte[] target = new byte[source.length];
        int times = fields.size("times", 1, MOST_RUNS);
        Arrays.fill(source, (byte) 1);
        long fastest = Long.MAX_VALUE;
        for (int index = 0; index < times; index++) {
            long started = platform.nanoTime();
            System.arraycopy(source, 0, target, 0, source.length);
            fastest = Math.min(fastest, Math.max(1, platform.nanoTime() - started));
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("ns", fastest);
        return answer;
    }

    private Sampler sampler() {
        return new Sampler(engine, input, platform, cpus);
    }

    /** What results say of a runtime. */
    static Map<String, Object> about(Engine engine) {
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("name", engine.name());
        about.put("package", engine.origin());
        about.put("version", engine.version());
        about.put("kernels", engine.accelerator());
        return about;
    }

    /** A first input: seeded noise. */
    static ByteBuffer noise(Tensor input) throws Message {
        Random random = new Random(0);
        ByteBuffer bytes = ByteBuffer.allocateDirect(input.bytes()).order(ByteOrder.nativeOrder());
        while (bytes.hasRemaining()) {
            if (input.dtype == Dtype.FLOAT32) {
                bytes.putFloat((float) random.nextGaussian());
            } else {
                bytes.put((byte) random.nextInt());
            }
        }
        Buffers.rewind(bytes);
        return bytes;
    }

    /** Images of a file must be of the size that the model takes. */
    private static void sized(Tensor input, Npy pixels) throws Message {
        long[] shape = {1, pixels.channels, pixels.height, pixels.width};
        long[] other = {1, pixels.height, pixels.width, pixels.channels};
        if (!Arrays.equals(input.shape, input.layout.equals("NHWC") ? other : shape)) {
            throw new Message("images of " + pixels.height + " x " + pixels.width + " x " + pixels.channels
                    + " are not what the file takes: " + input);
        }
    }

    private static Map<String, Object> described(Tensor tensor) {
        Map<String, Object> about = new LinkedHashMap<>();
        about.put("shape", tensor.shape);
        about.put("dtype", tensor.dtype.text);
        return about;
    }

    private static void known(Fields fields, String... names) throws Message {
        for (String name : fields.names()) {
            if (!Arrays.asList(names).contains(name) && !Arrays.asList(OF_ALL).contains(name)) {
                throw fields.wrong(name, "this app does not know it; update the app");
            }
        }
    }

    private static boolean isContract(Object value) {
        return value instanceof Number && ((Number) value).doubleValue() == CONTRACT;
    }

    private static float[] floats(double[] numbers) {
        float[] found = new float[numbers.length];
        for (int index = 0; index < found.length; index++) {
            found[index] = (float) numbers[index];
        }
        return found;
    }

    private static float[] floats(byte[] data) {
        float[] found = new float[data.length / 4];
        ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(found);
        return found;
    }

    private static List<Object> asList(double[] numbers) {
        if (numbers == null) {
            return null;
        }
        List<Object> found = new ArrayList<>();
        for (double number : numbers) {
            found.add(number);
        }
        return found;
    }

    private static Map<String, Object> error(String text, String kind) {
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("error", text);
        answer.put("kind", kind);
        return answer;
    }

    /** What an error says, on one line. */
    static String oneLine(Throwable error) {
        String said = error.getMessage();
        String text = said == null ? "" : said.replaceAll("\\s+", " ").trim();
        text = text.isEmpty() ? error.getClass().getSimpleName() : text;
        return text.length() <= LONGEST_ERROR ? text : text.substring(0, LONGEST_ERROR);
    }

    /** A file of outputs, which has an end. */
    private static final class Written implements AutoCloseable {
        private final String path;
        private final OutputStream file;
        private long bytes;

        Written(String path) throws IOException {
            this.path = path;
            this.file = new BufferedOutputStream(new FileOutputStream(path));
        }

        /** All bytes of a buffer. */
        void write(ByteBuffer output) throws IOException, Message {
            byte[] data = new byte[output.limit()];
            ByteBuffer whole = output.duplicate();
            Buffers.rewind(whole);
            whole.get(data);
            bytes += data.length;
            if (bytes > LARGEST_FILE) {
                throw new Message(path + ": more than the " + LARGEST_FILE + " bytes that a file may have");
            }
            file.write(data);
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }
}
