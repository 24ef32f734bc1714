package org.falconedge.engines;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.falconedge.core.Dtype;
import org.falconedge.core.Engine;
import org.falconedge.core.EngineOptions;
import org.falconedge.core.Json;
import org.falconedge.core.Message;
import org.falconedge.core.Tensor;

/** A session of the CPU provider with sequential execution, as runtime_bench/runtimes/onnxruntime.py makes it. */
final class OrtEngine implements Engine {
    private static final String CARD = "falcon_edge.card";
    private static final String LAYOUT = "NCHW";

    private final OrtEnvironment environment;
    private final OrtSession session;
    private final Tensor input;
    private final OnnxJavaType inputType;
    private final Set<String> outputNames = new LinkedHashSet<>();
    private List<Tensor> outputs;

    /** Of a file, or of its bytes. */
    OrtEngine(OrtEnvironment environment, File file, byte[] bytes, EngineOptions options) throws Message {
        this.environment = environment;
        if (options.gpu) {
            throw new Message("ONNX Runtime runs on the CPU in this app");
        }
        OrtSession opened = null;
        try (OrtSession.SessionOptions how = new OrtSession.SessionOptions()) {
            how.setIntraOpNumThreads(options.threads);
            how.setInterOpNumThreads(1);
            how.setExecutionMode(OrtSession.SessionOptions.ExecutionMode.SEQUENTIAL);
            how.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
            if (options.signed) {
                how.addConfigEntry("session.qdqisint8allowed", "1");
            }
            opened = file == null
                    ? environment.createSession(bytes, how)
                    : environment.createSession(file.getPath(), how);
            session = opened;
            outputs = outputs(session.getOutputInfo(), outputNames);
            input = input(session);
            inputType = input.dtype == Dtype.FLOAT32
                    ? OnnxJavaType.FLOAT
                    : input.dtype == Dtype.INT8 ? OnnxJavaType.INT8 : OnnxJavaType.UINT8;
            opened = null; // it is whole
        } catch (OrtException error) {
            throw new Message(said(error), error);
        } finally {
            close(opened);
        }
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
    public List<ByteBuffer> run(ByteBuffer values) throws Message {
        if (values.remaining() != input.bytes()) {
            throw new Message(values.remaining() + " bytes are not what the file takes: " + input);
        }
        try (OnnxTensor tensor = OnnxTensor.createTensor(environment, values.duplicate().order(ByteOrder.nativeOrder()),
                        input.shape, inputType);
                OrtSession.Result result = session.run(Collections.singletonMap(input.name, tensor), outputNames)) {
            List<ByteBuffer> found = new ArrayList<>();
            boolean open = false;
            for (int place = 0; place < result.size(); place++) {
                OnnxTensor output = (OnnxTensor) result.get(place);
                found.add(output.getByteBuffer());
                open |= outputs.get(place).shape.length != output.getInfo().getShape().length
                        || isOpen(outputs.get(place).shape);
            }
            if (open) {
                outputs = sized(result);
            }
            return found;
        } catch (OrtException error) {
            throw new Message(said(error), error);
        }
    }

    @Override
    public String name() {
        return "onnxruntime";
    }

    @Override
    public String origin() {
        return "onnxruntime-android";
    }

    @Override
    public String version() {
        return environment.getVersion();
    }

    @Override
    public String accelerator() {
        return "CPUExecutionProvider";
    }

    @Override
    public void close() {
        close(session);
    }

    private static void close(OrtSession session) {
        try {
            if (session != null) {
                session.close();
            }
        } catch (OrtException error) {
            throw new IllegalStateException(error);
        }
    }

    private static Tensor input(OrtSession session) throws OrtException, Message {
        Map<String, NodeInfo> inputs = session.getInputInfo();
        if (inputs.size() != 1) {
            throw new Message("the file has " + inputs.size() + " inputs; files of one are known");
        }
        NodeInfo node = inputs.values().iterator().next();
        Dtype dtype = node.getInfo() instanceof TensorInfo ? dtype((TensorInfo) node.getInfo()) : null;
        if (dtype != Dtype.FLOAT32 && dtype != Dtype.INT8 && dtype != Dtype.UINT8) {
            throw new Message("the file's input is " + (dtype == null ? "no tensor of numbers" : dtype)
                    + "; float32, int8 and uint8 are known");
        }
        long[] shape = ((TensorInfo) node.getInfo()).getShape();
        for (int axis = 0; axis < shape.length; axis++) {
            if (axis == 0 && shape[axis] < 0) {
                shape[axis] = 1;
            } else if (shape[axis] < 0) {
                throw new Message("the size of the file's input is open; export it with a fixed one");
            }
        }
        double scale = 0;
        long zeroPoint = 0;
        if (dtype != Dtype.FLOAT32) {
            Object card = Json.parse(session.getMetadata().getCustomMetadataValue(CARD).orElse("null"));
            Object known = field(field(card, "quantization"), "input");
            if (field(known, "scale") instanceof Number && field(known, "zero_point") instanceof Number) {
                scale = ((Number) field(known, "scale")).doubleValue();
                zeroPoint = ((Number) field(known, "zero_point")).longValue() + (dtype == Dtype.UINT8 ? 128 : 0);
            }
        }
        Tensor input = new Tensor(node.getName(), dtype, shape, LAYOUT, scale, (int) zeroPoint);
        input.checkInput();
        return input;
    }

    /** The outputs that are tensors of numbers, and their names. */
    private static List<Tensor> outputs(Map<String, NodeInfo> nodes, Set<String> names) throws Message {
        List<Tensor> found = new ArrayList<>();
        for (NodeInfo node : nodes.values()) {
            Dtype dtype = node.getInfo() instanceof TensorInfo ? dtype((TensorInfo) node.getInfo()) : null;
            if (dtype != null) {
                names.add(node.getName());
                found.add(new Tensor(node.getName(), dtype, ((TensorInfo) node.getInfo()).getShape(), LAYOUT, 0, 0));
            }
        }
        if (found.isEmpty()) {
            throw new Message("none of the file's outputs is a tensor of numbers");
        }
        return Collections.unmodifiableList(found);
    }

    /** The outputs with the shapes that they turned out to have. */
    private List<Tensor> sized(OrtSession.Result result) {
        List<Tensor> found = new ArrayList<>();
        for (int place = 0; place < outputs.size(); place++) {
            long[] shape = ((OnnxTensor) result.get(place)).getInfo().getShape();
            found.add(new Tensor(outputs.get(place).name, outputs.get(place).dtype, shape, LAYOUT, 0, 0));
        }
        return Collections.unmodifiableList(found);
    }

    private static boolean isOpen(long[] shape) {
        for (long size : shape) {
            if (size < 0) {
                return true;
            }
        }
        return false;
    }

    /** Null for what is no tensor of numbers that are known here. */
    private static Dtype dtype(TensorInfo info) {
        switch (info.onnxType) {
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
                return Dtype.FLOAT32;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
                return Dtype.UINT8;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
                return Dtype.INT8;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16:
                return Dtype.INT16;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
                return Dtype.INT32;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
                return Dtype.INT64;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL:
                return Dtype.BOOL;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
                return Dtype.FLOAT16;
            case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
                return Dtype.FLOAT64;
            default:
                return null; // texts, and whole numbers that ONNX Runtime's Java does not give out
        }
    }

    private static Object field(Object value, String name) {
        return value instanceof Map ? ((Map<?, ?>) value).get(name) : null;
    }

    private static String said(OrtException error) {
        return String.valueOf(error.getMessage()).replaceAll("\\s+", " ").trim();
    }
}
