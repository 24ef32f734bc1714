package org.falconedge.core;

/** How an engine is to run. */
public final class EngineOptions {
    /** Threads that work on one inference. */
    public final int threads;

    /** ONNX Runtime on x86 may multiply int8 by int8, instead of uint8 by int8, whose sums older CPUs cut off. */
    public final boolean signed;

    /** Run on the GPU, where the runtime has a delegate for it in this build; never falls back silently. */
    public final boolean gpu;

    public EngineOptions(int threads) {
        this(threads, false, false);
    }

    public EngineOptions(int threads, boolean signed, boolean gpu) {
        this.threads = threads;
        this.signed = signed;
        this.gpu = gpu;
    }
}
