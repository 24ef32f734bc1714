package org.falconedge.demo.screens;

import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.falconedge.core.Json;
import org.junit.Test;

/** What is embedded is damaged, at random but the same every time: there is a message or an answer, never a crash. */
public class MutationsTest extends Phones {
    private static final int TIMES = 300;
    /** Use every screen; anything that is thrown fails the test, for the stage catches nothing. */
    private int use() {
        Demo demo = started();
        demo.selfTest.run();
        demo.classify.show(() -> grey(0, 50, 255, 100));
        demo.accuracy.run(() -> Arrays.asList(new AccuracyScreen.Named("coat/1.png", () -> grey(0, 50, 255, 100))));
        demo.benchmark.runs("10");
        demo.benchmark.run();
        hand.all();
        ClassifyScreen.State state = demo.classify.state;
        assertFalse(state.busy || demo.selfTest.state.running || demo.accuracy.state.running || demo.benchmark.state.running);
        assertTrue("an answer, or a message", !state.answers.isEmpty() || !state.notice.isEmpty());
        assertFalse("nothing at all is said of the self-test", demo.selfTest.state.notice.isEmpty());
        return state.answers.size();
    }

    @Test
    public void unharmed() {
        assertTrue(use() == 1);
    }

    @Test
    public void aManifestOfOtherValues() throws Exception {
        Random random = new Random(16);
        int answered = 0;
        for (int time = 0; time < TIMES; time++) {
            Embedded whole = new Embedded().add("standard", "standard", Embedded.network("classes", 0));
            Map<String, byte[]> bundle = new LinkedHashMap<>();
            for (Map.Entry<String, byte[]> file : whole.files.entrySet()) {
                if (file.getKey().startsWith("standard/")) {
                    bundle.put(file.getKey().substring("standard/".length()), file.getValue());
                }
            }
            String file = time % 3 == 0 ? "exports/model.fp32.onnx" : "manifest.json";
            Object document = Json.parse(new String(bundle.get(file), StandardCharsets.UTF_8));
            mutate(document, random);
            bundle.put(file, Embedded.utf8(Json.text(document)));
            embedded = new Embedded().put("standard", "standard", bundle);
            settings.values.clear();
            answered += use();
        }
        assertTrue("all were harmless, or none", answered > 0 && answered < TIMES);
    }

    @Test
    public void filesOfOtherBytes() {
        Random random = new Random(61);
        List<String> names = new ArrayList<>(embedded.files.keySet());
        for (int time = 0; time < TIMES; time++) {
            String name = names.get(random.nextInt(names.size()));
            byte[] whole = embedded.files.get(name);
            byte[] harmed = Arrays.copyOf(whole, random.nextInt(3) == 0 ? random.nextInt(whole.length) : whole.length);
            for (int place = 0; harmed.length > 0 && place < 1 + random.nextInt(4); place++) {
                harmed[random.nextInt(harmed.length)] = (byte) random.nextInt();
            }
            embedded.files.put(name, harmed);
            settings.values.clear();
            use();
            embedded.files.put(name, whole);
        }
    }

    /** Another value, at random, somewhere in a document. */
    @SuppressWarnings("unchecked") // what Json gives
    private static void mutate(Object document, Random random) {
        Object value = value(random);
        if (document instanceof Map) {
            Map<String, Object> object = (Map<String, Object>) document;
            List<String> names = new ArrayList<>(object.keySet());
            if (!names.isEmpty()) {
                String name = names.get(random.nextInt(names.size()));
                if (isDeep(object.get(name)) && random.nextInt(4) > 0) {
                    mutate(object.get(name), random);
                } else if (random.nextInt(4) == 0) {
                    object.remove(name);
                } else {
                    object.put(name, value);
                }
            }
        } else {
            List<Object> list = (List<Object>) document;
            int place = list.isEmpty() ? 0 : random.nextInt(list.size());
            if (list.isEmpty() || random.nextInt(4) == 0) {
                list.add(value);
            } else if (isDeep(list.get(place)) && random.nextInt(4) > 0) {
                mutate(list.get(place), random);
            } else {
                list.set(place, value);
            }
        }
    }

    private static Object value(Random random) {
        Object[] values = {
            null, true, -1L, 0L, 1L << 40, Long.MAX_VALUE, 0.5, -1e300, "", "../../x", "classes", new ArrayList<>(),
            new ArrayList<Object>(Arrays.asList(1L, -2L)), new ArrayList<Object>(Arrays.asList((Object) null)),
            new LinkedHashMap<>()
        };
        return values[random.nextInt(values.length)];
    }

    private static boolean isDeep(Object value) {
        return (value instanceof Map && !((Map<?, ?>) value).isEmpty()) || value instanceof List;
    }
}
