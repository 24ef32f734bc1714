package org.falconedge.engines;

import java.io.File;
import java.util.Collections;
import java.util.List;
import org.falconedge.core.Engine;
import org.falconedge.core.EngineOptions;
import org.falconedge.core.Library;
import org.falconedge.core.Message;
import org.falconedge.core.MissingRuntime;
import org.tensorflow.lite.TensorFlowLite;

/** LiteRT, by the classes of org.tensorflow.lite. */
public final class LiteRtLibrary implements Library {
    @Override
    public String name() {
        return "litert";
    }

    @Override
    public String title() {
        return "LiteRT";
    }

    @Override
    public List<String> suffixes() {
        return Collections.singletonList(".tflite");
    }

    @Override
    public void prepare() throws Message {
        try {
            TensorFlowLite.runtimeVersion(); // loads it
        } catch (LinkageError | IllegalStateException error) {
            throw new MissingRuntime("LiteRT's native library cannot be loaded: " + error.getMessage(), error);
        }
    }

    @Override
    public Engine open(File model, EngineOptions options) throws Message {
        return new LiteRtEngine(model, null, options);
    }

    @Override
    public Engine open(byte[] model, EngineOptions options) throws Message {
        return new LiteRtEngine(null, model, options);
    }
}
