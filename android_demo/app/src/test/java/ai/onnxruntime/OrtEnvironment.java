package ai.onnxruntime;

/** By this class core's Engines knows that a build has a runtime: see org.falconedge.engines.OrtLibrary beside. */
public final class OrtEnvironment {
    private OrtEnvironment() {}
}
