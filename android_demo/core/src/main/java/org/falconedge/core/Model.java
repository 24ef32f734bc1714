package org.falconedge.core;

import java.util.List;

/** One embedded model. */
public final class Model {
    public final String folder;
    public final String name;
    public final String role;
    public final String identity;

    Model(String folder, String name, String role, String identity) {
        this.folder = folder;
        this.name = name;
        this.role = role;
        this.identity = identity;
    }

    /** Its manifest, read and checked; of the name, role and identity that the index has. */
    public Manifest manifest() throws Message {
        throw new UnsupportedOperationException();
    }

    /** The exported files that are here, in the order of the manifest. */
    public List<Manifest.Export> exports() throws Message {
        throw new UnsupportedOperationException();
    }

    /** Whether a file of the bundle is here. */
    public boolean has(String file) {
        throw new UnsupportedOperationException();
    }

    /** The bytes of a file, which must be as many and have the SHA-256 that the index says. */
    public byte[] bytes(String file) throws Message {
        throw new UnsupportedOperationException();
    }

    /** The size of a file, as the index says. */
    public long size(String file) throws Message {
        throw new UnsupportedOperationException();
    }

    /** Its SHA-256, as the index says. */
    public String sha256(String file) throws Message {
        throw new UnsupportedOperationException();
    }
}
