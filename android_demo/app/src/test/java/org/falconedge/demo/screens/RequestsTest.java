package org.falconedge.demo.screens;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.FileOutputStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.falconedge.core.Json;
import org.falconedge.core.Worker;
import org.junit.Before;
import org.junit.Test;

/** Requests over adb: in their order, each answered by a whole file, by core's own worker. */
public class RequestsTest extends Phones {
    private final List<String> log = new ArrayList<>();
    private File bundle;
    private File folder;
    private Requests requests;

    @Before
    public void open() throws Exception {
        folder = new File(storage.getRoot(), Requests.FOLDER);
        requests = new Requests(new Worker(bench)::answer, storage.getRoot(), hand::work, log::add);
        bundle = storage.newFile("model.onnx");
        try (FileOutputStream stream = new FileOutputStream(bundle)) {
            stream.write(embedded.files.get("standard/exports/model.fp32.onnx"));
        }
    }

    private void start(String... arguments) {
        requests.take(AmStart.extras(arguments));
    }

    private Map<?, ?> answer(String id) throws Exception {
        File file = new File(folder, id + ".json");
        return (Map<?, ?>) Json.parse(new String(Files.readAllBytes(file.toPath()), "UTF-8"));
    }

    private void load(String id) {
        start("--ei", "contract", "1", "--es", "id", id, "--es", "do", "load", "--es", "model", bundle.getPath(),
                "--es", "runtime", "onnxruntime", "--ei", "threads", "1");
    }

    @Test
    public void oneAfterTheOther() throws Exception {
        load("first");
        start("--ei", "contract", "1", "--es", "id", "second", "--es", "do", "measure", "--ei", "runs", "3");
        start("--ei", "contract", "1", "--es", "id", "third", "--es", "do", "memory");
        assertTrue("nothing is answered on the screen's thread", log.isEmpty());
        hand.work();
        assertEquals(Arrays.asList("BENCH_DONE first"), log);
        assertFalse(new File(folder, "second.json").exists());
        hand.all();
        assertEquals(Arrays.asList("BENCH_DONE first", "BENCH_DONE second", "BENCH_DONE third"), log);
        assertEquals(Arrays.<Object>asList(1L, 4L), ((Map<?, ?>) ((List<?>) answer("first").get("outputs")).get(0)).get("shape"));
        assertEquals(3, ((List<?>) answer("second").get("samples_ns")).size());
        assertEquals(100_000_000L, answer("third").get("resident"));
    }

    @Test
    public void aFileIsThereOnceItIsWhole() throws Exception {
        load("whole");
        hand.all();
        assertArrayEquals(new String[] {"whole.json"}, folder.list());
    }

    @Test
    public void replayWritesWhereItIsTold() throws Exception {
        File input = storage.newFile("input.bin");
        try (FileOutputStream stream = new FileOutputStream(input)) {
            stream.write(embedded.files.get("standard/golden/00.input.bin"));
        }
        load("one");
        start("--es", "id", "two", "--es", "do", "replay", "--esa", "inputs", input.getPath(),
                "--esa", "outputs", "files/bench/golden.bin");
        hand.all();
        assertEquals(1L, answer("two").get("vectors"));
        assertArrayEquals(
                embedded.files.get("standard/golden/00.output.bin"),
                Files.readAllBytes(new File(folder, "golden.bin").toPath()));
    }

    @Test
    public void outputsAreFilesOfTheBenchmarkAlone() throws Exception {
        load("one");
        for (String path : new String[] {"files/other/x", "files/bench/../../x", "/tmp/x", "files/bench"}) {
            start("--es", "id", "two", "--es", "do", "replay", "--esa", "inputs", "x", "--esa", "outputs", path);
            hand.all();
            String error = (String) answer("two").get("error");
            assertEquals(path + ": outputs are files in files/bench/", error);
        }
    }

    @Test
    public void errorsAreAnswers() throws Exception {
        start("--es", "id", "early", "--es", "do", "measure", "--ei", "runs", "3");
        start("--ei", "contract", "2", "--es", "id", "later", "--es", "do", "memory");
        start("--es", "id", "what", "--es", "do", "dance");
        start("--es", "id", "nothing");
        hand.all();
        assertEquals("no file is loaded", answer("early").get("error"));
        assertEquals("runtime", answer("early").get("kind"));
        assertEquals("contract", answer("later").get("kind"));
        assertEquals("no such request: dance", answer("what").get("error"));
        assertEquals("no such request: null", answer("nothing").get("error"));
    }

    @Test
    public void withoutANameForItsAnswer() {
        start("--es", "do", "memory");
        start("--ei", "id", "3", "--es", "do", "memory");
        start("--es", "id", "../../shared_prefs/settings", "--es", "do", "memory");
        hand.all();
        assertEquals(3, log.size());
        for (String line : log) {
            assertTrue(line, line.startsWith("BENCH_REFUSED"));
        }
        assertNull(folder.list());
    }

    @Test
    public void anAnswerThatCannotBeWritten() throws Exception {
        assertTrue(new File(storage.getRoot(), "files").createNewFile()); // where a folder should be
        load("lost");
        hand.all();
        assertEquals(1, log.size());
        assertTrue(log.get(0), log.get(0).startsWith("BENCH_FAILED lost the answer cannot be written"));
    }
}
