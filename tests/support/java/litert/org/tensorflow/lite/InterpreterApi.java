package org.tensorflow.lite;

import java.util.Map;

/** What interpreters can do. */
public interface InterpreterApi extends AutoCloseable {
    /** How to run. */
    class Options {
        public Options setNumThreads(int threads) {
            return this;
        }
    }

    void allocateTensors();

    int getInputTensorCount();

    Tensor getInputTensor(int index);

    int getOutputTensorCount();

    Tensor getOutputTensor(int index);

    void runForMultipleInputsOutputs(Object[] inputs, Map<Integer, Object> outputs);

    @Override
    void close();
}
