package org.tensorflow.lite;

/** Compiled against, never shipped: the class of LiteRT's AAR that has this name. */
public final class TensorFlowLite {
    private TensorFlowLite() {}

    public static String runtimeVersion() {
        throw new UnsupportedOperationException();
    }

    public static String schemaVersion() {
        throw new UnsupportedOperationException();
    }
}
