package org.falconedge.demo.screens;

/** What the app remembers of its user's choices. */
public interface Settings {
    /** A value, or null where there is none. */
    String get(String name);

    /** Keep a value; null forgets it. */
    void put(String name, String value);
}
