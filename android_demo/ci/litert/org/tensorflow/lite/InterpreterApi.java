package org.tensorflow.lite;

import java.util.Map;

/** Compiled against, never shipped: the interface of LiteRT's AAR that has this name. */
public interface InterpreterApi extends AutoCloseable {
    void run(Object input, Object output);

    void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs);

    void allocateTensors();

    void resizeInput(int index, int[] shape);

    int getInputTensorCount();

    Tensor getInputTensor(int index);

    int getOutputTensorCount();

    Tensor getOutputTensor(int index);

    Long getLastNativeInferenceDurationNanoseconds();

    @Override
    void close();

    /** How a model is run. */
    class Options {
        public Options() {}

        public Options setNumThreads(int threads) {
            throw new UnsupportedOperationException();
        }
    }
}
