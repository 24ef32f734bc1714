package org.falconedge.demo.screens;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What `am start` hands over, as the request that it is: in the types that JSON has. */
final class Extras {
    private Extras() {}

    /** Extras by their names, as Android's Bundle holds them. */
    static Map<String, Object> request(Map<String, ?> extras) {
        Map<String, Object> request = new LinkedHashMap<>();
        for (Map.Entry<String, ?> extra : extras.entrySet()) {
            request.put(extra.getKey(), value(extra.getValue()));
        }
        return request;
    }

    /** A number is Long or Double, an array or a list is a List; all else is what it was. */
    private static Object value(Object extra) {
        if (extra instanceof Integer) {
            return ((Integer) extra).longValue();
        }
        if (extra instanceof Float) {
            return Double.valueOf(extra.toString()); // the number that was typed, not the nearest float's
        }
        List<Object> values = new ArrayList<>();
        if (extra instanceof Object[]) {
            for (Object item : (Object[]) extra) {
                values.add(value(item));
            }
        } else if (extra instanceof int[]) {
            for (int item : (int[]) extra) {
                values.add(value(item));
            }
        } else if (extra instanceof long[]) {
            for (long item : (long[]) extra) {
                values.add(item);
            }
        } else if (extra instanceof float[]) {
            for (float item : (float[]) extra) {
                values.add(value(item));
            }
        } else if (extra instanceof Iterable) {
            for (Object item : (Iterable<?>) extra) {
                values.add(value(item));
            }
        } else {
            return extra;
        }
        return values;
    }
}
