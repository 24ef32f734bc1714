package org.falconedge.demo.screens;

import org.falconedge.core.Engine;
import org.falconedge.core.EngineOptions;
import org.falconedge.core.Library;
import org.falconedge.core.Manifest;
import org.falconedge.core.Message;
import org.falconedge.core.Model;

/** An exported file of a model, and how it is to run. */
final class Choice {
    final Model model;
    final Manifest manifest;
    final Manifest.Export export;
    final Library library;
    final boolean gpu;
    final int threads;

    Choice(Model model, Manifest manifest, Manifest.Export export, Library library, boolean gpu, int threads) {
        this.model = model;
        this.manifest = manifest;
        this.export = export;
        this.library = library;
        this.gpu = gpu;
        this.threads = threads;
    }

    /** Load the file. */
    Engine open() throws Message {
        library.prepare();
        return library.open(model.bytes(export.file), new EngineOptions(threads, false, gpu));
    }

    /** What tells it from others that may compute something else: the file by its bytes, and the runtime. */
    String computes() throws Message {
        return model.sha256(export.file) + " " + library.name() + (gpu ? " gpu" : "");
    }

    /** What tells it from all others. */
    String key() throws Message {
        return model.folder + " " + computes() + " " + threads;
    }
}
