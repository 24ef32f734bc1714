package org.falconedge.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import java.util.Arrays;
import java.util.Map;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

public class JsonTest {
    private static void refused(final String text, int place) {
        JsonException error = assertThrows(text, JsonException.class, new ThrowingRunnable() {
            @Override
            public void run() throws Throwable {
                Json.parse(text);
            }
        });
        assertEquals(text + ": " + error.getMessage(), place, error.place);
    }

    private static String repeated(String text, int times) {
        StringBuilder out = new StringBuilder();
        for (int index = 0; index < times; index++) {
            out.append(text);
        }
        return out.toString();
    }

    @Test
    public void valuesAreOfJavasTypes() throws Message {
        assertEquals(
                Arrays.<Object>asList(1L, -2L, 0.5, 1e300, true, false, null, "a\"\u00e9\n\ud83d\ude00"),
                Json.parse(" [1, -2, 0.5, 1E+300, true, false, null, \"a\\\"\\u00e9\\n\\ud83d\\ude00\"] "));
        assertEquals(Long.MIN_VALUE, Json.parse("-9223372036854775808"));
    }

    @Test
    public void objectsKeepTheirOrderAndTheLastOfTwo() throws Message {
        Map<?, ?> found = (Map<?, ?>) Json.parse("{\"b\": 1, \"a\": {}, \"b\": [2]}");
        assertEquals("{b=[2], a={}}", found.toString());
    }

    @Test
    public void whatIsNoJsonIsRefusedWithItsPlace() {
        refused("", 0);
        refused("nul", 0);
        refused("[1,]", 3);
        refused("{\"a\" 1}", 5);
        refused("{a: 1}", 1);
        refused("01", 0);
        refused("1.", 2);
        refused("-", 0);
        refused("1e", 2);
        refused("NaN", 0);
        refused("1 2", 2);
        refused("\"a", 0);
        refused("\"\\x\"", 2);
        refused("\"\\u12g4\"", 5);
        refused("\"a\nb\"", 2);
    }

    @Test
    public void numbersThatCannotBeKeptAreRefused() {
        refused("9223372036854775808", 0);
        refused("[1e999]", 1);
    }

    @Test
    public void halfACharacterIsRefused() {
        refused("\"\\ud800\"", 0);
        refused("[\"\\udc00\\ud800\"]", 1);
    }

    @Test
    public void depthIsLimited() throws Message {
        Json.parse(repeated("[", 100) + repeated("]", 100));
        refused(repeated("[", 1_000_000), Json.DEEPEST + 1);
        refused(repeated("{\"a\":", 1_000_000), 5 * (Json.DEEPEST + 1));
    }

    @Test
    public void whatIsWrittenIsReadTheSame() throws Message {
        String text = "{\"a\": [1, 2.5, \"\\u0000\\u20ac\\\"\\\\\", null, true], \"\\ud83d\\ude00\": {}}";
        assertEquals(text, Json.text(Json.parse(text)));
        assertEquals("[]", Json.text(new long[0]));
        assertEquals("[1, 2]", Json.text(new long[] {1, 2}));
    }

    @Test
    public void whatJsonDoesNotHaveIsNotWritten() {
        for (final Object value : new Object[] {Double.NaN, Float.POSITIVE_INFINITY, new Object()}) {
            assertThrows(IllegalArgumentException.class, new ThrowingRunnable() {
                @Override
                public void run() {
                    Json.text(value);
                }
            });
        }
    }
}
