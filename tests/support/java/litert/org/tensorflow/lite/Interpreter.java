package org.tensorflow.lite;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.Map;

/** An interpreter of Python, over a pipe: tests/support/litert_bridge.py is at the other end, and says the protocol. */
public final class Interpreter implements InterpreterApi {
    /** How to run. */
    public static class Options extends InterpreterApi.Options {
        int threads = 1;

        @Override
        public Options setNumThreads(int number) {
            threads = number;
            return this;
        }

        public Options setUseXNNPACK(boolean use) {
            return this;
        }
    }

    private final Process process;
    private final DataOutputStream to;
    private final DataInputStream from;
    private Tensor[] inputs;
    private Tensor[] outputs;

    public Interpreter(File model, Options options) {
        this(read(model), options.threads);
    }

    public Interpreter(ByteBuffer model, Options options) {
        this(bytes(model), options.threads);
    }

    private Interpreter(byte[] model, int threads) {
        try {
            String[] command = TensorFlowLite.command();
            process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
            to = new DataOutputStream(process.getOutputStream());
            from = new DataInputStream(process.getInputStream());
            to.writeInt(threads);
            to.writeInt(model.length);
            to.write(model);
            to.flush();
            answered();
            inputs = tensors();
            outputs = tensors();
        } catch (IOException error) {
            throw new IllegalStateException("the bridge is gone: " + error.getMessage(), error);
        }
    }

    @Override
    public void allocateTensors() {}

    @Override
    public int getInputTensorCount() {
        return inputs.length;
    }

    @Override
    public Tensor getInputTensor(int index) {
        return inputs[index];
    }

    @Override
    public int getOutputTensorCount() {
        return outputs.length;
    }

    @Override
    public Tensor getOutputTensor(int index) {
        return outputs[index];
    }

    @Override
    public void runForMultipleInputsOutputs(Object[] values, Map<Integer, Object> targets) {
        byte[] value = bytes((ByteBuffer) values[0]);
        if (value.length != inputs[0].numBytes()) {
            throw new IllegalArgumentException("Cannot copy to a TensorFlowLite tensor with " + inputs[0].numBytes()
                    + " bytes from a Java Buffer with " + value.length + " bytes.");
        }
        try {
            to.write(value);
            to.flush();
            answered();
            for (int index = 0; index < outputs.length; index++) {
                byte[] output = new byte[outputs[index].numBytes()];
                from.readFully(output);
                ((ByteBuffer) targets.get(index)).put(output);
            }
        } catch (IOException error) {
            throw new IllegalStateException("the bridge is gone: " + error.getMessage(), error);
        }
    }

    @Override
    public void close() {
        process.destroy();
    }

    /** An empty text, or what is wrong. */
    private void answered() throws IOException {
        String wrong = from.readUTF();
        if (!wrong.isEmpty()) {
            process.destroy();
            throw new IllegalArgumentException(wrong);
        }
    }

    private Tensor[] tensors() throws IOException {
        Tensor[] found = new Tensor[from.readInt()];
        for (int index = 0; index < found.length; index++) {
            final String name = from.readUTF();
            final DataType type = DataType.valueOf(from.readUTF());
            final int bytes = from.readInt();
            final int[] shape = new int[from.readInt()];
            for (int axis = 0; axis < shape.length; axis++) {
                shape[axis] = from.readInt();
            }
            final Tensor.QuantizationParams meaning = new Tensor.QuantizationParams(from.readFloat(), from.readInt());
            found[index] = new Tensor() {
                @Override
                public DataType dataType() {
                    return type;
                }

                @Override
                public int[] shape() {
                    return shape;
                }

                @Override
                public int numBytes() {
                    return bytes;
                }

                @Override
                public String name() {
                    return name;
                }

                @Override
                public Tensor.QuantizationParams quantizationParams() {
                    return meaning;
                }
            };
        }
        return found;
    }

    private static byte[] read(File file) {
        try {
            return Files.readAllBytes(file.toPath());
        } catch (IOException error) {
            throw new IllegalArgumentException("The model file cannot be read: " + error.getMessage(), error);
        }
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] found = new byte[buffer.remaining()];
        buffer.get(found);
        return found;
    }
}
