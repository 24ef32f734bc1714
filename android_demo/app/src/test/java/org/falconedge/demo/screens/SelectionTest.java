package org.falconedge.demo.screens;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.util.Arrays;
import java.util.Collections;
import org.falconedge.core.Message;
import org.junit.Test;

/** Which model, runtime and threads. */
public class SelectionTest extends Phones {
    private final Texts texts = new Resources();

    private Selection selection(int cores, int place) throws Message {
        Selection selection = new Selection("first", cores, settings);
        selection.offer(Shelf.read(embedded.source(), texts), place);
        return selection;
    }

    @Test
    public void ofNothing() throws Message {
        Selection selection = new Selection("first", 0, settings);
        assertEquals(Collections.emptyList(), selection.models());
        assertEquals(Collections.emptyList(), selection.runtimes());
        assertEquals(Collections.singletonList("1"), selection.threadCounts());
        assertFalse(selection.chooseModel(0) || selection.chooseRuntime(0) || selection.chooseThreads(0));
        try {
            selection.choice(texts);
            fail();
        } catch (Message expected) {
            assertEquals("Reading the models", expected.getMessage());
        }
        embedded = new Embedded().add("standard", "standard", Embedded.network("classes", 0));
        assertEquals(1, selection(4, 9).model());
    }

    @Test
    public void threadsUpToTheCores() throws Message {
        assertEquals(Arrays.asList("1", "2", "4", "6"), selection(6, 0).threadCounts());
        assertEquals(Arrays.asList("1", "2", "4", "8"), selection(8, 0).threadCounts());
        assertEquals(Arrays.asList("1"), selection(1, 0).threadCounts());
    }

    @Test
    public void isRemembered() throws Message {
        Selection selection = selection(8, 0);
        assertTrue(selection.chooseModel(3));
        assertTrue(selection.chooseThreads(2));
        Selection later = selection(8, 0);
        assertEquals(3, later.model());
        assertEquals("falcon · int8, Stand-in, threads: 4", later.title(texts));
        assertEquals("exports/model.int8.onnx", later.choice(texts).export.file);
        embedded = new Embedded().add("other", "standard", Embedded.network("classes", 0));
        assertEquals("what is remembered is not there any more", 0, selection(8, 0).model());
    }

    @Test
    public void twoModelsOfOneName() throws Message {
        embedded = new Embedded()
                .add("one", "standard", Embedded.network("classes", 0))
                .add("two", "standard", Embedded.network("classes", 0));
        String index = new String(embedded.files.get("index.json"), java.nio.charset.StandardCharsets.UTF_8);
        index = index.replace("\"name\": \"one\"", "\"name\": \"vgg\"").replace("\"name\": \"two\"", "\"name\": \"vgg\"");
        embedded.files.put("index.json", Embedded.utf8(index));
        assertEquals(
                Arrays.asList("vgg · fp32", "vgg · int8", "vgg · fp32 (two)", "vgg · int8 (two)"),
                selection(1, 0).models());
    }
}
