package org.falconedge.core;

import java.io.File;
import java.util.List;

/** A runtime that is in this build. */
public interface Library {
    /** As in the project's results: "onnxruntime" or "litert". */
    String name();

    /** For people: "ONNX Runtime". */
    String title();

    /** What it loads, as in ".onnx". */
    List<String> suffixes();

    /** Load the native libraries, if they are not loaded yet. Throws MissingRuntime where there are none. */
    void prepare() throws Message;

    /** Load a model from a file, which must stay until the engine is closed. */
    Engine open(File model, EngineOptions options) throws Message;

    /** Load a model from memory. */
    Engine open(byte[] model, EngineOptions options) throws Message;
}
