package org.falconedge.engines;

import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.falconedge.core.Buffers;
import org.falconedge.core.Dtype;
import org.falconedge.core.Engine;
import org.falconedge.core.EngineOptions;
import org.falconedge.core.Message;
import org.falconedge.core.MissingRuntime;
import org.falconedge.core.Tensor;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.TensorFlowLite;

/**
 * An interpreter on the CPU with XNNPACK, or with the GPU delegate where it is asked for.
 *
 * <p>The delegate comes with another package (litert-gpu); without it a GPU that is asked for is an error, no CPU.
 */
final class LiteRtEngine implements Engine {
    private static final String DELEGATE = "org.tensorflow.lite.Delegate";
    private static final String GPU_DELEGATE = "org.tensorflow.lite.gpu.GpuDelegate";
    private static final String LAYOUT = "NHWC";

    /** The delegate; null: on the CPU. */
    private final Object gpu;

    private final Interpreter interpreter;
    private final Tensor input;
    private final List<Tensor> outputs = new ArrayList<>();
    private final List<ByteBuffer> values = new ArrayList<>();
    private final Map<Integer, Object> targets = new HashMap<>();

    /** Of a file, or of its bytes. */
    LiteRtEngine(File file, byte[] bytes, EngineOptions options) throws Message {
        Interpreter.Options how = new Interpreter.Options();
        how.setNumThreads(options.threads);
        gpu = options.gpu ? gpuDelegate(how) : null;
        Interpreter opened = null;
        boolean whole = false;
        try {
            how.setUseXNNPACK(gpu == null);
            opened = file == null ? new Interpreter(direct(bytes), how) : new Interpreter(file, how);
            interpreter = opened;
            interpreter.allocateTensors();
            input = input(interpreter);
            for (int place = 0; place < interpreter.getOutputTensorCount(); place++) {
                Tensor output = described(interpreter.getOutputTensor(place));
                outputs.add(output);
                values.add(ByteBuffer.allocateDirect(output.bytes()).order(ByteOrder.nativeOrder()));
                targets.put(place, values.get(place));
            }
            if (outputs.isEmpty()) {
                throw new Message("the file has no outputs");
            }
            whole = true;
        } catch (LinkageError error) {
            throw new MissingRuntime("LiteRT's native library cannot be loaded: " + error.getMessage(), error);
        } catch (RuntimeException error) { // IllegalArgumentException and IllegalStateException for what is no model
            throw new Message("LiteRT: " + said(error), error);
        } finally {
            if (!whole && opened != null) {
                opened.close();
            }
            if (!whole) {
                closeDelegate();
            }
        }
    }

    @Override
    public Tensor input() {
        return input;
    }

    @Override
    public List<Tensor> outputs() {
        return Collections.unmodifiableList(outputs);
    }

    @Override
    public List<ByteBuffer> run(ByteBuffer value) throws Message {
        if (value.remaining() != input.bytes()) {
            throw new Message(value.remaining() + " bytes are not what the file takes: " + input);
        }
        for (ByteBuffer each : values) {
            Buffers.rewind(each);
        }
        try {
            interpreter.runForMultipleInputsOutputs(
                    new Object[] {value.duplicate().order(ByteOrder.nativeOrder())}, targets);
        } catch (RuntimeException error) {
            throw new Message("LiteRT: " + said(error), error);
        }
        for (ByteBuffer each : values) {
            Buffers.rewind(each);
        }
        return Collections.unmodifiableList(values);
    }

    @Override
    public String name() {
        return "litert";
    }

    @Override
    public String origin() {
        return "litert";
    }

    @Override
    public String version() {
        return TensorFlowLite.runtimeVersion();
    }

    @Override
    public String accelerator() {
        return gpu == null ? "CPU" : "GPU";
    }

    @Override
    public void close() {
        interpreter.close();
        closeDelegate();
    }

    private void closeDelegate() {
        if (gpu instanceof AutoCloseable) {
            try {
                ((AutoCloseable) gpu).close();
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }
    }

    /** The GPU's delegate, added to the options; by name, because it is in a package of its own. */
    private static Object gpuDelegate(Interpreter.Options how) throws Message {
        try {
            Object delegate = Class.forName(GPU_DELEGATE).getDeclaredConstructor().newInstance();
            how.getClass().getMethod("addDelegate", Class.forName(DELEGATE)).invoke(how, delegate);
            return delegate;
        } catch (ClassNotFoundException error) {
            throw new MissingRuntime("this build has no GPU delegate: add com.google.ai.edge.litert:litert-gpu", error);
        } catch (ReflectiveOperationException | LinkageError error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            throw new Message("the GPU delegate cannot be made on this phone: " + said(cause), error);
        }
    }

    private static Tensor input(Interpreter interpreter) throws Message {
        if (interpreter.getInputTensorCount() != 1) {
            throw new Message(
                    "the file has " + interpreter.getInputTensorCount() + " inputs; files of one are known");
        }
        Tensor input = described(interpreter.getInputTensor(0));
        if (input.dtype != Dtype.FLOAT32 && input.dtype != Dtype.INT8 && input.dtype != Dtype.UINT8) {
            throw new Message("the file's input is " + input.dtype + "; float32, int8 and uint8 are known");
        }
        input.checkInput();
        return input;
    }

    private static Tensor described(org.tensorflow.lite.Tensor tensor) throws Message {
        String name = tensor.dataType().name();
        Dtype dtype;
        try {
            dtype = Dtype.valueOf(name);
        } catch (IllegalArgumentException unknown) {
            throw new Message("the file has a tensor of " + name.toLowerCase(Locale.ROOT) + ", which is unknown here");
        }
        int[] sizes = tensor.shape();
        long[] shape = new long[sizes.length];
        for (int axis = 0; axis < shape.length; axis++) {
            shape[axis] = sizes[axis];
        }
        org.tensorflow.lite.Tensor.QuantizationParams meaning = tensor.quantizationParams();
        Tensor found =
                new Tensor(tensor.name(), dtype, shape, LAYOUT, meaning.getScale(), meaning.getZeroPoint());
        if (found.bytes() != tensor.numBytes()) {
            throw new Message("the file's tensor " + Arrays.toString(sizes) + " has " + tensor.numBytes() + " bytes");
        }
        return found;
    }

    private static ByteBuffer direct(byte[] bytes) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(bytes.length).order(ByteOrder.nativeOrder());
        buffer.put(bytes);
        Buffers.rewind(buffer);
        return buffer;
    }

    private static String said(Throwable error) {
        String text = error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage();
        return text.replaceAll("\\s+", " ").trim();
    }
}
