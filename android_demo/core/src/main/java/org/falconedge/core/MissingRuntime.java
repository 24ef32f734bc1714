package org.falconedge.core;

/** A runtime that is not in this build, or whose native library is not. */
public final class MissingRuntime extends Message {
    private static final long serialVersionUID = 1L;

    public MissingRuntime(String text) {
        super(text);
    }

    public MissingRuntime(String text, Throwable cause) {
        super(text, cause);
    }
}
