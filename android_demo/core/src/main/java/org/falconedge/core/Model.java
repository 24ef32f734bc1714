package org.falconedge.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** One embedded model: an entry of index.json, and the files that it lists. */
public final class Model {
    private static final String MANIFEST = "manifest.json";
    private static final Pattern FOLDER = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,63}");
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

    private static final class Entry {
        final long bytes;
        final String sha256;

        Entry(long bytes, String sha256) {
            this.bytes = bytes;
            this.sha256 = sha256;
        }
    }

    /** Where it is, below the models' folder. */
    public final String folder;

    public final String name;

    /** "standard" or "compressed". */
    public final String role;

    public final String identity;

    private final Models.Source source;
    private final Map<String, Entry> files = new LinkedHashMap<>();
    private Manifest manifest;

    Model(Fields fields, Models.Source source) throws Message {
        this.source = source;
        folder = fields.text("folder");
        if (!FOLDER.matcher(folder).matches()) {
            throw fields.wrong("folder", "the name of a folder was expected");
        }
        name = fields.text("name");
        role = fields.oneOf("role", "standard", "compressed");
        identity = fields.text("identity");
        Fields listed = fields.object("files");
        for (String file : listed.names()) {
            Fields entry = listed.object(file);
            if (!Manifest.isInside(file)) {
                throw fields.wrong("files", "paths inside of a bundle were expected");
            }
            String sha256 = entry.text("sha256");
            if (!SHA256.matcher(sha256).matches()) {
                throw entry.wrong("sha256", "64 hexadecimal digits were expected");
            }
            files.put(file, new Entry(entry.whole("bytes", 0, Long.MAX_VALUE), sha256));
        }
    }

    /** Its manifest, read and checked; of the role and identity that the index has. */
    public synchronized Manifest manifest() throws Message {
        if (manifest == null) {
            if (size(MANIFEST) > Models.LARGEST_DOCUMENT) {
                throw new Message(path(MANIFEST) + ": larger than any manifest is");
            }
            Manifest read;
            try {
                read = Manifest.read(Models.text(bytes(MANIFEST), MANIFEST));
            } catch (Message error) {
                String said = error.getMessage();
                throw said.startsWith(MANIFEST) ? new Message(folder + "/" + said, error) : error;
            }
            if (!read.identity.equals(identity) || !read.role.equals(role)) {
                throw new Message(path(MANIFEST) + ": of another model than index.json says; embed it again");
            }
            manifest = read;
        }
        return manifest;
    }

    /** The exported files that are here, in the order of the manifest. */
    public List<Manifest.Export> exports() throws Message {
        List<Manifest.Export> found = new ArrayList<>();
        for (Manifest.Export export : manifest().exports) {
            if (has(export.file)) {
                found.add(export);
            }
        }
        return found;
    }

    /** Whether a file of the bundle is here. */
    public boolean has(String file) {
        return files.containsKey(file);
    }

    /** The bytes of a file, which must be as many and have the SHA-256 that the index says. */
    public byte[] bytes(String file) throws Message {
        Entry entry = entry(file);
        byte[] data = Models.read(source, path(file), entry.bytes);
        if (data.length < entry.bytes) {
            throw new Message(path(file) + ": cut off, with " + data.length + " of " + entry.bytes
                    + " bytes; embed the model again");
        }
        if (!Hash.sha256(data).equals(entry.sha256)) {
            throw new Message(path(file) + ": damaged (its SHA-256 is not that of index.json); embed the model again");
        }
        return data;
    }

    /** The size of a file, as the index says. */
    public long size(String file) throws Message {
        return entry(file).bytes;
    }

    /** Its SHA-256, as the index says. */
    public String sha256(String file) throws Message {
        return entry(file).sha256;
    }

    private Entry entry(String file) throws Message {
        Entry entry = files.get(file);
        if (entry == null) {
            throw new Message(path(file) + ": not among the embedded files; embed the model again");
        }
        return entry;
    }

    private String path(String file) {
        return folder + "/" + file;
    }
}
