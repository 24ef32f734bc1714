package org.falconedge.demo.screens;

import static org.junit.Assert.assertEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Map;
import org.falconedge.core.Json;
import org.junit.Test;

/** What the host sends by `am start` is what worker.py would read as JSON. */
public class ExtrasTest {
    private static void same(String json, String... arguments) throws Exception {
        Map<String, Object> request = Extras.request(AmStart.extras(arguments));
        assertEquals(Json.parse(json), request);
    }

    @Test
    public void everyTypeOfTheContract() throws Exception {
        same("{\"do\": \"load\", \"threads\": 4}", "-W", "-n", "a/.B", "--es", "do", "load", "--ei", "threads", "4");
        same("{\"size\": 8589934592}", "--el", "size", "8589934592");
        same("{\"cold\": true, \"signed\": false}", "--ez", "cold", "true", "--ez", "signed", "false");
        same("{\"outputs\": [\"files/bench/a\", \"files/bench/b\"]}", "--esa", "outputs", "files/bench/a,files/bench/b");
        same("{\"cpus\": [6, 7]}", "--eia", "cpus", "6,7");
        same("{\"mean\": [0.485, 0.456, 0.406]}", "--efa", "mean", "0.485,0.456,0.406");
        same("{}");
    }

    @Test
    public void aFractionIsTheOneThatWasTyped() throws Exception {
        same("{\"every_ms\": 33.3, \"seconds\": 0.0, \"until\": 1e-05}",
                "--ef", "every_ms", "33.3", "--ef", "seconds", "0.0", "--ef", "until", "1e-05");
    }

    @Test
    public void aLongFractionIsTheSameFloat() {
        String typed = "0.28604063391685486";
        Object found = Extras.request(AmStart.extras("--ef", "mean", typed)).get("mean");
        assertEquals(Float.parseFloat(typed), ((Double) found).floatValue(), 0);
    }

    @Test
    public void listsOfNewerAndroids() {
        Map<String, Object> extras = new java.util.LinkedHashMap<>();
        extras.put("cpus", new ArrayList<>(Arrays.asList(6, 7)));
        extras.put("sizes", new long[] {1, 2});
        extras.put("nothing", null);
        Map<String, Object> request = Extras.request(extras);
        assertEquals(Arrays.<Object>asList(6L, 7L), request.get("cpus"));
        assertEquals(Arrays.<Object>asList(1L, 2L), request.get("sizes"));
        assertEquals(null, request.get("nothing"));
    }
}
