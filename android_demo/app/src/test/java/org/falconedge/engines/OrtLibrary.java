package org.falconedge.engines;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.falconedge.core.Dtype;
import org.falconedge.core.Engine;
import org.falconedge.core.EngineOptions;
import org.falconedge.core.Json;
import org.falconedge.core.Library;
import org.falconedge.core.Message;
import org.falconedge.core.Tensor;

/**
 * In place of ONNX Runtime a runtime that does as it is told: no real one runs out of memory, crashes or takes its time when a
 * test wants it to. The real ones are driven by the tests of engines, and by RealModels.
 *
 * <p>A model is JSON: {"input": shape, "outputs": [{"name", "shape", "values" or "pick"}], "open", "run", "close": what
 * goes wrong then}. An output is of `values`, or of the numbers of the input at the places `pick`.
 */
public final class OrtLibrary implements Library {
    /** Called in every inference. */
    public static Runnable onRun = () -> {};

    /** How many engines are open. */
    public static int open;

    @Override
    public String name() {
        return "onnxruntime";
    }

    @Override
    public String title() {
        return "Stand-in";
    }

    @Override
    public List<String> suffixes() {
        return Collections.singletonList(".onnx");
    }

    @Override
    public void prepare() {}

    @Override
    public Engine open(File model, EngineOptions options) throws Message {
        ByteArrayOutputStream found = new ByteArrayOutputStream();
        try (InputStream stream = new FileInputStream(model)) {
            for (int each; (each = stream.read()) >= 0; ) {
                found.write(each);
            }
        } catch (IOException error) {
            throw new Message(error.getMessage(), error);
        }
        return open(found.toByteArray(), options);
    }

    @Override
    public Engine open(byte[] model, EngineOptions options) throws Message {
        Object parsed = Json.parse(new String(model, StandardCharsets.UTF_8));
        if (!(parsed instanceof Map)) {
            throw new Message("no model");
        }
        fail((Map<?, ?>) parsed, "open");
        return new StandIn((Map<?, ?>) parsed);
    }

    private static void fail(Map<?, ?> model, String moment) throws Message {
        Object how = model.get(moment);
        if ("memory".equals(how)) {
            throw new OutOfMemoryError("Failed to allocate");
        }
        if ("library".equals(how)) {
            throw new UnsatisfiedLinkError("libonnxruntime.so: no such symbol");
        }
        if ("bug".equals(how)) {
            throw new IllegalStateException("line 1\n  line 2");
        }
        if (how != null) {
            throw new Message(String.valueOf(how));
        }
    }

    private static final class StandIn implements Engine {
        private final Map<?, ?> model;
        private final Tensor input;
        private final List<Tensor> outputs = new ArrayList<>();

        StandIn(Map<?, ?> model) throws Message {
            this.model = model;
            try {
                input = new Tensor("input", Dtype.FLOAT32, shape(model.get("input")), "NCHW", 0, 0);
                for (Object each : (List<?>) model.get("outputs")) {
                    Map<?, ?> output = (Map<?, ?>) each;
                    String name = (String) output.get("name");
                    outputs.add(new Tensor(name, Dtype.FLOAT32, shape(output.get("shape")), "NCHW", 0, 0));
                }
            } catch (ClassCastException | NullPointerException error) {
                throw new Message("no model", error);
            }
            open++;
        }

        private static long[] shape(Object list) {
            List<?> sizes = (List<?>) list;
            long[] shape = new long[sizes.size()];
            for (int axis = 0; axis < shape.length; axis++) {
                shape[axis] = (Long) sizes.get(axis);
            }
            return shape;
        }

        @Override
        public Tensor input() {
            return input;
        }

        @Override
        public List<Tensor> outputs() {
            return outputs;
        }

        @Override
        public List<ByteBuffer> run(ByteBuffer values) throws Exception {
            fail(model, "run");
            onRun.run();
            List<ByteBuffer> found = new ArrayList<>();
            for (Object each : (List<?>) model.get("outputs")) {
                Map<?, ?> output = (Map<?, ?>) each;
                boolean picks = output.containsKey("pick");
                List<?> numbers = (List<?>) output.get(picks ? "pick" : "values");
                ByteBuffer bytes = ByteBuffer.allocateDirect(4 * numbers.size()).order(ByteOrder.nativeOrder());
                for (Object number : numbers) {
                    float value = ((Number) number).floatValue();
                    bytes.putFloat(picks ? values.getFloat(4 * (int) value) : value);
                }
                bytes.rewind();
                found.add(bytes);
            }
            return found;
        }

        @Override
        public String name() {
            return "onnxruntime";
        }

        @Override
        public String origin() {
            return "stand-in";
        }

        @Override
        public String version() {
            return "1";
        }

        @Override
        public String accelerator() {
            return "CPU";
        }

        @Override
        public void close() {
            open--;
            try {
                fail(model, "close");
            } catch (Message error) {
                throw new IllegalStateException(error);
            }
        }
    }
}
