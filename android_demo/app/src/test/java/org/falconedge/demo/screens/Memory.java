package org.falconedge.demo.screens;

import java.util.HashMap;
import java.util.Map;

/** Settings that live as long as a test. */
final class Memory implements Settings {
    final Map<String, String> values = new HashMap<>();

    @Override
    public String get(String name) {
        return values.get(name);
    }

    @Override
    public void put(String name, String value) {
        if (value == null) {
            values.remove(name);
        } else {
            values.put(name, value);
        }
    }
}
