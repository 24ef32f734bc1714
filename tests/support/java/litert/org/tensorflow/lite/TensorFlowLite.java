package org.tensorflow.lite;

/** The native library: a program in Python; the property litert.bridge, or LITERT_BRIDGE, has its PYTHON:FILE. */
public final class TensorFlowLite {
    private TensorFlowLite() {}

    public static String runtimeVersion() {
        command();
        return System.getProperty("litert.version", "bridge");
    }

    static String[] command() {
        String command = System.getProperty("litert.bridge", System.getenv("LITERT_BRIDGE"));
        if (command == null) {
            throw new UnsatisfiedLinkError("litert.bridge must name Python and the bridge's program");
        }
        return command.split(":");
    }
}
