package org.tensorflow.lite;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.Map;

/** Compiled against, never shipped: the class of LiteRT's AAR that has this name. */
public final class Interpreter implements InterpreterApi {
    public Interpreter(File model, Options options) {
        throw new UnsupportedOperationException();
    }

    public Interpreter(ByteBuffer model, Options options) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void run(Object input, Object output) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void allocateTensors() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void resizeInput(int index, int[] shape) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int getInputTensorCount() {
        throw new UnsupportedOperationException();
    }

    @Override
    public Tensor getInputTensor(int index) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int getOutputTensorCount() {
        throw new UnsupportedOperationException();
    }

    @Override
    public Tensor getOutputTensor(int index) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Long getLastNativeInferenceDurationNanoseconds() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {
        throw new UnsupportedOperationException();
    }

    /** How a model is run. */
    public static class Options extends InterpreterApi.Options {
        public Options() {}

        @Override
        public Options setNumThreads(int threads) {
            throw new UnsupportedOperationException();
        }

        public Options setUseXNNPACK(boolean used) {
            throw new UnsupportedOperationException();
        }
    }
}
