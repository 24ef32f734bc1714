package org.falconedge.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Map;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

/** What needs no runtime; all else is in tests/android_demo/test_engines.py. */
public class WorkerTest {
    private final Worker worker = new Worker(new SystemPlatform());

    private void fails(String request, String expected, String kind) throws Message {
        Fields answer = Fields.of(worker.answer(request), "answer");
        assertTrue(answer.text("error"), answer.text("error").contains(expected));
        assertEquals(kind, answer.text("kind"));
    }

    @Test
    public void whatCannotBeAnsweredIsAnError() throws Message {
        fails("{\"do\": \"measure\", \"runs\": 1}", "no file is loaded", "runtime");
        fails("{\"do\": \"fly\"}", "no such request: fly", "runtime");
        fails("{}", "no such request", "runtime");
        fails("[]", "a request is an object", "runtime");
        fails("{\"do\"", "a colon was expected", "runtime");
        fails("{\"do\": \"profile\", \"runs\": 1}", "no runtime of this app", "runtime");
        fails("{\"do\": \"memory\", \"speed\": 1}", "memory.speed: this app does not know it", "runtime");
        fails("{\"do\": \"memory\", \"contract\": 2}", "update the app", "contract");
    }

    @Test
    public void whatIsNotInThisBuildIsAMissingRuntime() throws Message {
        String load = "{\"do\": \"load\", \"path\": \"x\", \"threads\": 1, \"runtime\": ";
        fails(load + "\"other\"}", "no such runtime", "runtime");
        if (Engines.available().isEmpty()) {
            fails(load + "\"litert\"}", "litert is not in this build", "missing-runtime");
        }
    }

    @Test
    public void memoryIsTold() throws Message {
        Fields answer = Fields.of(worker.answer("{\"do\": \"memory\", \"id\": \"1\", \"contract\": 1}"), "answer");
        assertTrue(answer.whole("resident", 1, Long.MAX_VALUE) <= answer.whole("peak", 1, Long.MAX_VALUE));
    }

    @Test
    public void processesAndThreadsArePinned() throws Exception {
        final SystemPlatform platform = new SystemPlatform();
        int[] all = platform.cpus();
        assertTrue(all.length > 0);
        try {
            platform.pin(new int[] {all[0]}, false);
            assertArrayEquals(new int[] {all[0]}, platform.cpus());
            assertEquals(all[0], platform.cpu());
        } finally {
            platform.pin(all, false);
        }
        Message error = assertThrows(Message.class, new ThrowingRunnable() {
            @Override
            public void run() throws Throwable {
                platform.pin(new int[] {4000}, false);
            }
        });
        assertTrue(error.getMessage(), error.getMessage().startsWith("cannot run on CPUs 4000: not given"));
    }

    @Test
    public void sleepIsNotShorterThanAsked() throws Exception {
        SystemPlatform platform = new SystemPlatform();
        for (long wanted : new long[] {1, 300_000, 5_000_000}) {
            long started = platform.nanoTime();
            platform.sleep(wanted);
            assertTrue(platform.nanoTime() - started >= wanted);
        }
    }

    @Test
    public void theDeviceIsDescribed() {
        Map<String, Object> found = Environment.now(new SystemPlatform(), "50%, full", 1);
        assertEquals("50%, full", found.get("battery"));
        assertTrue((Integer) found.get("cores") >= 1);
        assertEquals(32L << 10, Environment.cacheSize("32K"));
        assertEquals(0, Environment.cacheSize("<unknown>"));
    }
}
