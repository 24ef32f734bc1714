package org.tensorflow.lite;

/** The native library. */
public final class TensorFlowLite {
    private TensorFlowLite() {}

    public static void init() {
        if (System.getProperty("litert.bridge") == null) {
            throw new UnsatisfiedLinkError("the property litert.bridge must name Python and the bridge's program");
        }
    }

    public static String runtimeVersion() {
        return System.getProperty("litert.version", "bridge");
    }
}
