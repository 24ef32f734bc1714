package org.falconedge.engines;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import java.io.File;
import java.util.Arrays;
import java.util.List;
import org.falconedge.core.Engine;
import org.falconedge.core.EngineOptions;
import org.falconedge.core.Library;
import org.falconedge.core.Message;
import org.falconedge.core.MissingRuntime;

/** ONNX Runtime for Android. */
public final class OrtLibrary implements Library {
    @Override
    public String name() {
        return "onnxruntime";
    }

    @Override
    public String title() {
        return "ONNX Runtime";
    }

    @Override
    public List<String> suffixes() {
        return Arrays.asList(".onnx", ".ort");
    }

    @Override
    public void prepare() throws Message {
        environment();
    }

    @Override
    public Engine open(File model, EngineOptions options) throws Message {
        return new OrtEngine(environment(), model, null, options);
    }

    @Override
    public Engine open(byte[] model, EngineOptions options) throws Message {
        return new OrtEngine(environment(), null, model, options);
    }

    /** The one environment of a process, which tells nobody what it does. */
    private static OrtEnvironment environment() throws Message {
        try {
            OrtEnvironment environment =
                    OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR, "falcon-edge");
            environment.setTelemetry(false);
            return environment;
        } catch (LinkageError error) {
            throw new MissingRuntime("ONNX Runtime's native library cannot be loaded: " + error.getMessage(), error);
        } catch (OrtException error) {
            throw new Message("ONNX Runtime cannot be started: " + error.getMessage(), error);
        }
    }
}
