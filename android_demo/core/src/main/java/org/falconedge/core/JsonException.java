package org.falconedge.core;

/** A text that is no JSON; `place` is the number of characters before what is wrong. */
public final class JsonException extends Message {
    private static final long serialVersionUID = 1L;

    public final int place;

    public JsonException(String text, int place) {
        super(text + " (at character " + place + ")");
        this.place = place;
    }
}
