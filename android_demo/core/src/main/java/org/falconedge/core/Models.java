package org.falconedge.core;

import java.io.IOException;
import java.io.InputStream;
import java.util.List;

/** The embedded models: what `falcon-edge embed` wrote. */
public final class Models {
    /** Where they are: a folder, or an app's assets. */
    public interface Source {
        /** A file, by its path from the folder of the models on ("index.json", "standard/manifest.json"). */
        InputStream open(String path) throws IOException;
    }

    private final List<Model> models = null;

    /** Read index.json, and check it; manifests and files are read when they are asked for. */
    public Models(Source source) throws Message {
        throw new UnsupportedOperationException();
    }

    /** All of them, in the order of the index. */
    public List<Model> list() {
        return models;
    }

    /** The one of a name. Throws Message, which names those that there are. */
    public Model named(String name) throws Message {
        throw new UnsupportedOperationException();
    }
}
