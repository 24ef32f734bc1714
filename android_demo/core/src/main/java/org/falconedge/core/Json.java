package org.falconedge.core;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON as values of Java: Map (in the order of the text), List, String, Boolean, null; Long for whole numbers, Double
 * for all others. Of two values of one name the last counts, as in Python.
 */
public final class Json {
    /** Lists and objects within each other; more are no document of ours, and would overflow the stack. */
    static final int DEEPEST = 100;

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** The value of a text. */
    public static Object parse(String text) throws JsonException {
        Json json = new Json(text);
        Object value = json.value(0);
        json.skip();
        if (json.at < text.length()) {
            throw json.wrong("nothing more was expected");
        }
        return value;
    }

    /** The text of a value, on one line. Throws IllegalArgumentException for what JSON does not have. */
    public static String text(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out, 0);
        return out.toString();
    }

    private Object value(int depth) throws JsonException {
        if (depth > DEEPEST) {
            throw wrong("more than " + DEEPEST + " lists and objects within each other");
        }
        skip();
        if (at == text.length()) {
            throw wrong("the text ends where a value was expected");
        }
        switch (text.charAt(at)) {
            case '{':
                return object(depth);
            case '[':
                return list(depth);
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object(int depth) throws JsonException {
        Map<String, Object> found = new LinkedHashMap<>();
        at++;
        skip();
        if (taken('}')) {
            return found;
        }
        while (true) {
            skip();
            if (at == text.length() || text.charAt(at) != '"') {
                throw wrong("a name in quotation marks was expected");
            }
            String name = string();
            skip();
            if (!taken(':')) {
                throw wrong("a colon was expected");
            }
            found.put(name, value(depth + 1));
            skip();
            if (taken('}')) {
                return found;
            }
            if (!taken(',')) {
                throw wrong("a comma or the end of the object was expected");
            }
        }
    }

    private List<Object> list(int depth) throws JsonException {
        List<Object> found = new ArrayList<>();
        at++;
        skip();
        if (taken(']')) {
            return found;
        }
        while (true) {
            found.add(value(depth + 1));
            skip();
            if (taken(']')) {
                return found;
            }
            if (!taken(',')) {
                throw wrong("a comma or the end of the list was expected");
            }
        }
    }

    private String string() throws JsonException {
        int start = at++;
        StringBuilder found = new StringBuilder();
        while (at < text.length()) {
            char next = text.charAt(at++);
            if (next == '"') {
                return whole(found, start);
            }
            if (next < ' ') {
                at--;
                throw wrong("a control character in a text");
            }
            found.append(next == '\\' ? escaped() : next);
        }
        throw new JsonException("a text without an end", start);
    }

    /** A text in which no half of a character stands alone: it could not be written again. */
    private static String whole(StringBuilder found, int start) throws JsonException {
        for (int index = 0; index < found.length(); index++) {
            char one = found.charAt(index);
            if (Character.isHighSurrogate(one)
                    && index + 1 < found.length()
                    && Character.isLowSurrogate(found.charAt(index + 1))) {
                index++;
            } else if (Character.isSurrogate(one)) {
                throw new JsonException("half a character in a text", start);
            }
        }
        return found.toString();
    }

    private char escaped() throws JsonException {
        if (at == text.length()) {
            throw wrong("a text without an end");
        }
        char next = text.charAt(at++);
        switch (next) {
            case '"':
            case '\\':
            case '/':
                return next;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                int code = 0;
                for (int digits = 0; digits < 4; digits++) {
                    int digit = at < text.length() && text.charAt(at) < 128 ? Character.digit(text.charAt(at), 16) : -1;
                    if (digit < 0) {
                        throw wrong("four hexadecimal digits were expected");
                    }
                    code = 16 * code + digit;
                    at++;
                }
                return (char) code;
            default:
                at--;
                throw wrong("no such escape in a text");
        }
    }

    private Object word(String word, Object value) throws JsonException {
        if (!text.startsWith(word, at)) {
            throw wrong("no such value");
        }
        at += word.length();
        return value;
    }

    private Object number() throws JsonException {
        int start = at;
        taken('-');
        int first = at;
        int digits = digits();
        if (digits == 0) {
            at = start;
            throw wrong("no such value");
        }
        if (digits > 1 && text.charAt(first) == '0') {
            at = start;
            throw wrong("a number that starts with 0");
        }
        boolean whole = true;
        if (taken('.')) {
            whole = false;
            if (digits() == 0) {
                throw wrong("digits were expected");
            }
        }
        if (taken('e') || taken('E')) {
            whole = false;
            if (!taken('-')) {
                taken('+');
            }
            if (digits() == 0) {
                throw wrong("digits were expected");
            }
        }
        String found = text.substring(start, at);
        if (whole) {
            try {
                return Long.valueOf(found);
            } catch (NumberFormatException tooLong) {
                throw new JsonException("a number of more than 63 bits", start);
            }
        }
        double value = Double.parseDouble(found);
        if (Double.isInfinite(value)) {
            throw new JsonException("a number that is too large", start);
        }
        return value;
    }

    private int digits() {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        return at - start;
    }

    private boolean taken(char wanted) {
        boolean there = at < text.length() && text.charAt(at) == wanted;
        at += there ? 1 : 0;
        return there;
    }

    private void skip() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private JsonException wrong(String what) {
        return new JsonException(what, at);
    }

    private static void write(Object value, StringBuilder out, int depth) {
        if (depth > DEEPEST) {
            throw new IllegalArgumentException("too deep for JSON");
        }
        if (value == null || value instanceof Boolean || isWhole(value)) {
            out.append(value);
        } else if (value instanceof Number) {
            writeFraction((Number) value, out);
        } else if (value instanceof CharSequence) {
            writeText(value.toString(), out);
        } else if (value instanceof Map) {
            writeObject((Map<?, ?>) value, out, depth);
        } else if (value instanceof Iterable) {
            writeList((Iterable<?>) value, out, depth);
        } else if (value instanceof long[]) {
            writeNumbers((long[]) value, out);
        } else {
            throw new IllegalArgumentException(value.getClass() + " is nothing of JSON");
        }
    }

    private static boolean isWhole(Object value) {
        return value instanceof Long || value instanceof Integer || value instanceof Short || value instanceof Byte;
    }

    private static void writeFraction(Number value, StringBuilder out) {
        double number = value.doubleValue();
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            throw new IllegalArgumentException(number + " is no number of JSON");
        }
        out.append(value);
    }

    private static void writeObject(Map<?, ?> value, StringBuilder out, int depth) {
        String before = "{";
        for (Map.Entry<?, ?> entry : value.entrySet()) {
            out.append(before);
            writeText((String) entry.getKey(), out);
            out.append(": ");
            write(entry.getValue(), out, depth + 1);
            before = ", ";
        }
        out.append(value.isEmpty() ? "{}" : "}");
    }

    private static void writeList(Iterable<?> value, StringBuilder out, int depth) {
        out.append('[');
        String before = "";
        for (Object each : value) {
            out.append(before);
            write(each, out, depth + 1);
            before = ", ";
        }
        out.append(']');
    }

    private static void writeNumbers(long[] value, StringBuilder out) {
        out.append('[');
        for (int index = 0; index < value.length; index++) {
            out.append(index == 0 ? "" : ", ").append(value[index]);
        }
        out.append(']');
    }

    private static void writeText(String value, StringBuilder out) {
        out.append('"');
        for (int index = 0; index < value.length(); index++) {
            char each = value.charAt(index);
            if (each == '"' || each == '\\') {
                out.append('\\').append(each);
            } else if (each < ' ' || each > '~') {
                out.append("\\u");
                for (int shift = 12; shift >= 0; shift -= 4) {
                    out.append(Character.forDigit(each >> shift & 15, 16));
                }
            } else {
                out.append(each);
            }
        }
        out.append('"');
    }
}
