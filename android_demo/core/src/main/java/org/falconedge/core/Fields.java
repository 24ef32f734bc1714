package org.falconedge.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The fields of an object of JSON, read as what they must be; what is not is a Message with its place. */
final class Fields {
    private final Map<?, ?> fields;
    private final String place;

    /** place: where the object is, for messages: a file, or as in "manifest.json: input". */
    Fields(Object value, String place) throws Message {
        if (!(value instanceof Map)) {
            throw new Message(place + ": an object was expected");
        }
        this.fields = (Map<?, ?>) value;
        this.place = place;
    }

    /** The fields of a document, whose name is for messages. */
    static Fields of(String text, String name) throws Message {
        try {
            return new Fields(Json.parse(text), name);
        } catch (JsonException error) {
            throw new Message(name + ": not JSON: " + error.getMessage(), error);
        }
    }

    /** The version that a document says it has. */
    long version() throws Message {
        if (!has("schema_version")) {
            throw new Message(place + ": not a document of falcon-edge (no schema_version)");
        }
        return whole("schema_version", 0, Long.MAX_VALUE);
    }

    /** The names of its fields. */
    Set<String> names() {
        Set<String> names = new LinkedHashSet<>();
        for (Object name : fields.keySet()) {
            names.add(String.valueOf(name));
        }
        return names;
    }

    /** Whether there is a value, and it is not null. */
    boolean has(String name) {
        return fields.get(name) != null;
    }

    String text(String name) throws Message {
        Object value = fields.get(name);
        if (!(value instanceof String)) {
            throw wrong(name, "a text was expected");
        }
        return (String) value;
    }

    String text(String name, String otherwise) throws Message {
        return has(name) ? text(name) : otherwise;
    }

    /** One of the texts that are known. */
    String oneOf(String name, String... known) throws Message {
        String value = text(name);
        if (!Arrays.asList(known).contains(value)) {
            throw wrong(name, "one of " + join(Arrays.asList(known)) + " was expected");
        }
        return value;
    }

    long whole(String name, long least, long most) throws Message {
        return whole(name, fields.get(name), least, most);
    }

    int size(String name, int least, int most) throws Message {
        return (int) whole(name, least, most);
    }

    double number(String name) throws Message {
        return number(name, fields.get(name));
    }

    double number(String name, double otherwise) throws Message {
        return has(name) ? number(name) : otherwise;
    }

    boolean flag(String name, boolean otherwise) throws Message {
        Object value = fields.get(name);
        if (value == null) {
            return otherwise;
        }
        if (!(value instanceof Boolean)) {
            throw wrong(name, "true or false was expected");
        }
        return (Boolean) value;
    }

    Fields object(String name) throws Message {
        return new Fields(fields.get(name), at(name));
    }

    /** A list; an empty one where there is none. */
    List<?> list(String name) throws Message {
        Object value = fields.get(name);
        if (value == null) {
            return new ArrayList<>();
        }
        if (!(value instanceof List)) {
            throw wrong(name, "a list was expected");
        }
        return (List<?>) value;
    }

    List<Fields> objects(String name) throws Message {
        List<Fields> found = new ArrayList<>();
        for (Object value : list(name)) {
            found.add(new Fields(value, at(name) + "[" + found.size() + "]"));
        }
        return found;
    }

    List<String> texts(String name) throws Message {
        List<String> found = new ArrayList<>();
        for (Object value : list(name)) {
            if (!(value instanceof String)) {
                throw wrong(name, "a list of texts was expected");
            }
            found.add((String) value);
        }
        return found;
    }

    int[] sizes(String name, int least, int most) throws Message {
        List<?> list = list(name);
        int[] found = new int[list.size()];
        for (int index = 0; index < found.length; index++) {
            found[index] = (int) whole(name, list.get(index), least, most);
        }
        return found;
    }

    double[] numbers(String name) throws Message {
        List<?> list = list(name);
        double[] found = new double[list.size()];
        for (int index = 0; index < found.length; index++) {
            found[index] = number(name, list.get(index));
        }
        return found;
    }

    /** An object whose values are texts; an empty one where there is none. */
    Map<String, String> textsByName(String name) throws Message {
        Map<String, String> found = new LinkedHashMap<>();
        if (has(name)) {
            Fields inner = object(name);
            for (String key : inner.names()) {
                found.put(key, inner.text(key));
            }
        }
        return found;
    }

    Message wrong(String name, String what) {
        return new Message(at(name) + ": " + what);
    }

    /** As in "manifest.json: input.mean". */
    private String at(String name) {
        return place + (place.endsWith(".json") ? ": " : ".") + name;
    }

    /** Values with commas between them. */
    static String join(Iterable<?> values) {
        StringBuilder out = new StringBuilder();
        for (Object value : values) {
            out.append(out.length() == 0 ? "" : ", ").append(value);
        }
        return out.toString();
    }

    private long whole(String name, Object value, long least, long most) throws Message {
        boolean whole = value instanceof Long || value instanceof Integer || value instanceof Short;
        if (!whole || ((Number) value).longValue() < least || ((Number) value).longValue() > most) {
            throw wrong(name, "a whole number from " + least + " to " + most + " was expected");
        }
        return ((Number) value).longValue();
    }

    private double number(String name, Object value) throws Message {
        double number = value instanceof Number ? ((Number) value).doubleValue() : Double.NaN;
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            throw wrong(name, "a number was expected");
        }
        return number;
    }
}
