package org.falconedge.demo.screens;

/** Words for the screen, in the language of its user. */
public interface Texts {
    /** A text with values in its places. */
    String of(Text text, Object... values);
}
