package org.falconedge.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.List;
import org.junit.Test;

/** Moments and clocks, with an engine that only takes its time; runtimes are in tests/android_demo/test_engines.py. */
public class SamplerTest {
    private static final long MILLISECOND = 1_000_000;

    private static final class Waiting implements Engine {
        private final Platform platform;
        private final long nanoseconds;
        int runs;

        Waiting(Platform platform, long nanoseconds) {
            this.platform = platform;
            this.nanoseconds = nanoseconds;
        }

        @Override
        public Tensor input() {
            return new Tensor("input", Dtype.UINT8, new long[0], "NCHW", 1, 0);
        }

        @Override
        public List<Tensor> outputs() {
            return Collections.emptyList();
        }

        @Override
        public List<ByteBuffer> run(ByteBuffer input) throws InterruptedException {
            runs++;
            platform.sleep(nanoseconds);
            return Collections.emptyList();
        }

        @Override
        public String name() {
            return "waiting";
        }

        @Override
        public String origin() {
            return "test";
        }

        @Override
        public String version() {
            return "1";
        }

        @Override
        public String accelerator() {
            return "CPU";
        }

        @Override
        public void close() {}
    }

    /** A phone whose CPU 5 tells its clock, a megahertz more each time. */
    private static final class Telling implements Platform {
        private final SystemPlatform machine = new SystemPlatform();
        private int asked;

        @Override
        public long nanoTime() {
            return machine.nanoTime();
        }

        @Override
        public void sleep(long nanoseconds) throws InterruptedException {
            machine.sleep(nanoseconds);
        }

        @Override
        public Long resident() {
            return null;
        }

        @Override
        public Long peak() {
            return null;
        }

        @Override
        public void pin(int[] cpus, boolean thread) {}

        @Override
        public int[] cpus() {
            return new int[0];
        }

        @Override
        public int cpu() {
            return 5;
        }

        @Override
        public String read(String path) throws IOException {
            assertEquals("/sys/devices/system/cpu/cpu5/cpufreq/scaling_cur_freq", path);
            return String.valueOf(1_000_000 + 1000 * asked++);
        }

        @Override
        public String[] list(String folder) {
            return new String[0];
        }
    }

    private static Sampler sampler(Engine engine, Platform platform) throws Message {
        return new Sampler(engine, Worker.noise(engine.input()), platform, null);
    }

    @Test
    public void theClockIsReadBeforeAtAndAfterTicksOfItsOwn() throws Exception {
        Telling phone = new Telling();
        Waiting engine = new Waiting(phone, MILLISECOND);
        Sampler.Samples found = sampler(engine, phone).paced(4, 12, 0, 1, Sampler.TO_THE_END);
        assertEquals(4, found.nanoseconds.length);
        assertEquals(4 + 3, engine.runs);
        assertArrayEquals(new double[] {1004, 1005, 1006}, found.mhz, 0); // of ten times, the first whether it tells
    }

    @Test
    public void withoutAClockThereAreNoMegahertz() throws Exception {
        SystemPlatform machine = new SystemPlatform();
        boolean tells = machine.list("/sys/devices/system/cpu/cpu0/cpufreq").length > 0;
        Sampler.Samples found =
                sampler(new Waiting(machine, 0), machine).paced(2, 3, 0, 1, Sampler.TO_THE_END);
        if (!tells) {
            assertNull(found.mhz);
        }
    }

    @Test
    public void ticksComeAtTheirTurnAndLongInferencesMissSome() throws Exception {
        SystemPlatform machine = new SystemPlatform();
        long started = machine.nanoTime();
        Sampler.Samples found =
                sampler(new Waiting(machine, 25 * MILLISECOND), machine).paced(3, 10, 0, 1, Sampler.TO_THE_END);
        assertTrue(found.missed >= 6);
        assertTrue(machine.nanoTime() - started >= 3 * 25 * MILLISECOND);
        for (long each : found.nanoseconds) {
            assertTrue(each >= 25 * MILLISECOND);
        }
    }

    @Test
    public void whoWatchesEndsIt() throws Exception {
        Telling machine = new Telling(); // whose caches are unknown: those of a server are larger than this heap
        Sampler sampler = sampler(new Waiting(machine, 0), machine);
        Sampler.Watch watch = new Sampler.Watch() {
            @Override
            public boolean goOn(int done) {
                return done < 2;
            }
        };
        assertEquals(2, sampler.backToBack(1000, watch).nanoseconds.length);
        assertEquals(2, sampler.cold(1000, watch).nanoseconds.length);
        assertEquals(2, sampler.paced(1000, 1, 0, 1, watch).nanoseconds.length);
        assertEquals(2, sampler.warmUp(1000, 100, null, watch).runs);
    }

    @Test
    public void withoutKnownCachesAsMuchIsWrittenAsUsual() {
        assertEquals(96L << 20, Flush.bytes(new Telling()));
    }
}
