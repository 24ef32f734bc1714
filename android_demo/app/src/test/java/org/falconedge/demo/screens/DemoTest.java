package org.falconedge.demo.screens;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.falconedge.demo.screens.Demo.Tab;
import org.falconedge.engines.OrtLibrary;
import org.junit.Test;

/** From tab to tab, and apps that something is wrong with. */
public class DemoTest extends Phones {
    @Test
    public void tabs() {
        Demo demo = started();
        assertEquals(Tab.CLASSIFY, demo.tab());
        demo.classify.camera(true);
        demo.open(Tab.CLASSIFY);
        assertTrue(demo.classify.state.camera);
        demo.open(Tab.BENCHMARK);
        assertFalse("no camera that nobody sees", demo.classify.state.camera);
        assertEquals(Tab.BENCHMARK, demo.tab());
        assertEquals("the tab of the last time", Tab.BENCHMARK, started().tab());
        settings.put("tab", "GONE");
        assertEquals(Tab.CLASSIFY, demo.tab());
    }

    @Test
    public void outOfSight() {
        Demo demo = started();
        demo.classify.show(() -> grey(1, 2, 3, 4));
        hand.all();
        demo.classify.camera(true);
        assertEquals(1, OrtLibrary.open);
        demo.hidden();
        hand.all();
        assertFalse(demo.classify.state.camera);
        assertEquals(0, OrtLibrary.open);
        demo.classify.show(() -> grey(1, 2, 3, 4)); // and back again
        hand.all();
        assertEquals(1, demo.classify.state.answers.size());
    }

    private String notice() {
        return started().classify.state.notice;
    }

    @Test
    public void appsThatSomethingIsWrongWith() {
        embedded.files.put("index.json", Embedded.utf8("{\"schema_version\": 2, \"models\": []}"));
        assertEquals(
                "The embedded models cannot be read: index.json: of version 2, and this app reads version 1; update it",
                notice());
        embedded.files.put("index.json", Embedded.utf8("{\"schema_version\": 1, \"models\": []}"));
        assertTrue(notice(), notice().startsWith("There is no model in this app: run falcon-edge embed"));
        embedded.files.put("index.json", Embedded.utf8("{"));
        assertTrue(notice(), notice().startsWith("The embedded models cannot be read: index.json: not JSON"));
        embedded.files.remove("index.json");
        assertTrue(notice(), notice().startsWith("The embedded models cannot be read: index.json: cannot be read"));
    }

    @Test
    public void aModelThatCannotBeUsedCostsTheOthersNothing() {
        Map<String, byte[]> bundle = new LinkedHashMap<>();
        bundle.put("manifest.json", Embedded.utf8("{\"schema_version\": 3}"));
        embedded.put("new", "standard", bundle);
        Demo demo = started();
        assertEquals(4, demo.classify.state.first.models().size());
        assertTrue(demo.classify.state.notice, demo.classify.state.notice.startsWith("new cannot be used: new/manifest.json"));
    }

    @Test
    public void aModelWhoseRuntimeIsNotInThisBuild() {
        String manifest = new String(embedded.files.get("standard/manifest.json"), java.nio.charset.StandardCharsets.UTF_8);
        Map<String, byte[]> bundle = new LinkedHashMap<>();
        bundle.put("manifest.json", Embedded.utf8(manifest.replace(".onnx", ".tflite").replace("\"onnx\"", "\"tflite\"")));
        bundle.put("exports/model.fp32.tflite", new byte[3]);
        embedded = new Embedded().put("standard", "standard", bundle);
        Demo demo = started();
        assertEquals(Collections.emptyList(), demo.classify.state.first.models());
        assertEquals(
                Arrays.asList("standard has no file that a runtime of this app can run: embed one, or build the app with its runtime"),
                Arrays.asList(demo.classify.state.notice.split("\n")));
    }
}
