package org.falconedge.demo.screens;

import java.util.LinkedHashMap;
import java.util.Map;

/** The extras of an `am start`, as Android's Intent.parseCommandArgs puts them into a Bundle. */
final class AmStart {
    private AmStart() {}

    static Map<String, Object> extras(String... arguments) {
        Map<String, Object> extras = new LinkedHashMap<>();
        for (int place = 0; place < arguments.length; place++) {
            String option = arguments[place];
            if (option.equals("-W")) {
                continue;
            }
            String name = arguments[++place];
            if (option.equals("-n")) {
                continue;
            }
            extras.put(name, value(option, arguments[++place]));
        }
        return extras;
    }

    private static Object value(String option, String text) {
        String[] parts = text.split(option.equals("--esa") ? "(?<!\\\\)," : ",");
        switch (option) {
            case "--es":
                return text;
            case "--ei":
                return Integer.decode(text);
            case "--el":
                return Long.valueOf(text);
            case "--ef":
                return Float.valueOf(text);
            case "--ez":
                return Boolean.valueOf(text);
            case "--esa":
                return parts;
            case "--eia":
                int[] whole = new int[parts.length];
                for (int place = 0; place < parts.length; place++) {
                    whole[place] = Integer.decode(parts[place]);
                }
                return whole;
            case "--efa":
                float[] numbers = new float[parts.length];
                for (int place = 0; place < parts.length; place++) {
                    numbers[place] = Float.valueOf(parts[place]);
                }
                return numbers;
            default:
                throw new IllegalArgumentException(option);
        }
    }
}
