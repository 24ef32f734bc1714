package org.falconedge.core;

import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The runtimes of this build, found by name, so that one that is not in it is hidden. */
public final class Engines {
    /** Classes that implement Library, and the class of the runtime that each needs. */
    private static final String[][] KNOWN = {
        {"onnxruntime", "org.falconedge.engines.OrtLibrary", "ai.onnxruntime.OrtEnvironment"},
        {"litert", "org.falconedge.engines.LiteRtLibrary", "org.tensorflow.lite.Interpreter"},
    };

    private Engines() {}

    /** The runtimes whose classes are in this build. */
    public static List<Library> available() {
        List<Library> found = new ArrayList<>();
        for (String[] known : KNOWN) {
            try {
                found.add(library(known[0]));
            } catch (MissingRuntime missing) {
                continue; // hidden
            } catch (Message other) {
                throw new IllegalStateException(other);
            }
        }
        return Collections.unmodifiableList(found);
    }

    /** The runtimes of this build that load a file, by its suffix. */
    public static List<Library> loading(String file) {
        List<Library> found = new ArrayList<>();
        for (Library library : available()) {
            for (String suffix : library.suffixes()) {
                if (file.endsWith(suffix)) {
                    found.add(library);
                }
            }
        }
        return found;
    }

    /** A runtime by its name. Throws MissingRuntime where this build has none, Message for a name that is none. */
    public static Library library(String name) throws Message {
        ClassLoader loader = Engines.class.getClassLoader();
        for (String[] known : KNOWN) {
            if (known[0].equals(name)) {
                try {
                    Class.forName(known[2], false, loader);
                    return (Library) Class.forName(known[1], true, loader).getDeclaredConstructor().newInstance();
                } catch (ReflectiveOperationException | LinkageError error) {
                    throw new MissingRuntime(name + " is not in this build", error);
                }
            }
        }
        throw new Message("no such runtime: " + name);
    }

    /** Load a model from a file, which must stay until the engine is closed. */
    public static Engine open(String runtime, File model, EngineOptions options) throws Message {
        Library library = library(runtime);
        library.prepare();
        return library.open(model, options);
    }

    /** Load a model from memory. */
    public static Engine open(String runtime, byte[] model, EngineOptions options) throws Message {
        Library library = library(runtime);
        library.prepare();
        return library.open(model, options);
    }
}
