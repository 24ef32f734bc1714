package org.falconedge.core;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** The embedded models: what `falcon-edge embed` wrote (docs/formats.md, Embedded models). */
public final class Models {
    /** Where they are: a folder, or an app's assets. */
    public interface Source {
        /** A file, by its path from the folder of the models on ("index.json", "standard/manifest.json"). */
        InputStream open(String path) throws IOException;
    }

    public static final int SCHEMA_VERSION = 1;
    static final String INDEX = "index.json";

    /** Bytes of a document; the manifest of a network of 20,000 classes has less than 1 MiB. */
    static final long LARGEST_DOCUMENT = 16 << 20;

    private final List<Model> models;

    /** Read index.json, and check it; manifests and files are read when they are asked for. */
    public Models(Source source) throws Message {
        Fields index = Fields.of(text(read(source, INDEX, LARGEST_DOCUMENT), INDEX), INDEX);
        long version = index.version();
        if (version != SCHEMA_VERSION) {
            throw new Message(INDEX + ": of version " + version + ", and this app reads version " + SCHEMA_VERSION
                    + "; update it");
        }
        List<Model> found = new ArrayList<>();
        Set<String> folders = new HashSet<>();
        for (Fields each : index.objects("models")) {
            Model model = new Model(each, source);
            if (!folders.add(model.folder)) {
                throw each.wrong("folder", "two models have this one; embed them again");
            }
            found.add(model);
        }
        models = Collections.unmodifiableList(found);
    }

    /** All of them, in the order of the index. */
    public List<Model> list() {
        return models;
    }

    /** The one of a folder's name, or a model's. Throws Message, which names those that there are. */
    public Model named(String name) throws Message {
        List<String> names = new ArrayList<>();
        for (Model model : models) {
            if (model.folder.equals(name)) {
                return model;
            }
            names.add(model.folder);
        }
        for (Model model : models) {
            if (model.name.equals(name)) {
                return model;
            }
        }
        throw new Message(name + ": no such model; there are " + (names.isEmpty() ? "none" : Fields.join(names)));
    }

    /** The bytes of a file, at most so many. */
    static byte[] read(Source source, String path, long most) throws Message {
        try {
            return Hash.read(source.open(path), most, path);
        } catch (IOException error) {
            throw new Message(path + ": cannot be read (" + error.getMessage() + "); embed the models again", error);
        }
    }

    /** Bytes in UTF-8 as text. */
    static String text(byte[] data, String name) throws Message {
        try {
            return Charset.forName("UTF-8").newDecoder().decode(ByteBuffer.wrap(data)).toString();
        } catch (CharacterCodingException error) {
            throw new Message(name + ": not a text in UTF-8", error);
        }
    }
}
