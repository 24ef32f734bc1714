package org.falconedge.core;

/** An error for people to read: one line that says what is wrong, where, and what to do. */
public class Message extends Exception {
    private static final long serialVersionUID = 1L;

    public Message(String text) {
        super(text);
    }

    public Message(String text, Throwable cause) {
        super(text, cause);
    }
}
