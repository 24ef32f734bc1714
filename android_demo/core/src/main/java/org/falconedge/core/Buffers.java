package org.falconedge.core;

import java.nio.Buffer;

/** Buffers, by what they have in every Android. */
public final class Buffers {
    private Buffers() {}

    /**
     * Back to the beginning. Newer SDKs give each kind of buffer a rewind of its own, which a compiler would call, and
     * which Android 7 does not have.
     */
    public static void rewind(Buffer buffer) {
        buffer.rewind();
    }
}
