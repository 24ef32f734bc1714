package org.falconedge.core;

import java.nio.ByteBuffer;
import java.util.List;

/** One loaded model file in one runtime. Not for several threads at a time. */
public interface Engine extends AutoCloseable {
    /** The one input. */
    Tensor input();

    /** The outputs, in the order of the file; before the first run sizes that the file leaves open are -1. */
    List<Tensor> outputs();

    /**
     * The outputs for one input: buffers in native order, from position 0 to their limit.
     *
     * <p>The input is such a buffer, too, a direct one, of as many bytes as input() has. The outputs are valid until
     * the next run.
     */
    List<ByteBuffer> run(ByteBuffer input) throws Exception;

    /** The runtime: "onnxruntime" or "litert". */
    String name();

    /** The package that the runtime came in, as in "onnxruntime-android". */
    String origin();

    /** The runtime's version; "unknown" where it does not tell. */
    String version();

    /** What ran the operators, as in "CPUExecutionProvider", "CPU" or "GPU". */
    String accelerator();

    @Override
    void close();
}
