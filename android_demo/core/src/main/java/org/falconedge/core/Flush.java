package org.falconedge.core;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * Empties the caches of CPUs: a buffer that they have no room beside is read and written, by each CPU that this process
 * was put on. To set all of it to one value may go past the caches.
 */
final class Flush implements AutoCloseable {
    private static final String CACHES = "/sys/devices/system/cpu/cpu0/cache";

    /** So many times the largest cache, at least so much, or where none is known so much. */
    private static final long CACHES_OVER = 4;

    private static final long LEAST_WRITTEN = 8L << 20;
    private static final long USUALLY_WRITTEN = 96L << 20;

    /** What it writes. */
    final long bytes;

    private final long[] buffer;
    private final List<ExecutorService> threads = new ArrayList<>();

    /** cpus: those that this process was put on; of one, or none, the calling thread writes alone. */
    Flush(final Platform platform, int[] cpus) throws Exception {
        bytes = bytes(platform);
        buffer = new long[(int) Math.min(bytes / 8, Integer.MAX_VALUE - 8)];
        write(); // its pages come now: what the kernel does for new ones would make the first inference longer
        boolean whole = false;
        try {
            for (final int cpu : cpus.length > 1 ? cpus : new int[0]) {
                ExecutorService thread = Executors.newSingleThreadExecutor();
                threads.add(thread);
                thread.submit(new Callable<Void>() {
                    @Override
                    public Void call() throws Message {
                        platform.pin(new int[] {cpu}, true);
                        return null;
                    }
                }).get();
            }
            whole = true;
        } catch (ExecutionException error) {
            throw new Message("caches cannot be emptied: " + error.getCause().getMessage(), error);
        } finally {
            if (!whole) {
                close();
            }
        }
    }

    /** Empty them. */
    void run() throws Exception {
        write();
        for (ExecutorService thread : threads) {
            thread.submit(new Callable<Void>() {
                @Override
                public Void call() {
                    write();
                    return null;
                }
            }).get();
        }
    }

    @Override
    public void close() {
        for (ExecutorService thread : threads) {
            thread.shutdown();
        }
    }

    private void write() {
        long[] all = buffer;
        for (int index = 0; index < all.length; index++) {
            all[index]++;
        }
    }

    /** Bytes that are more than the caches of a CPU hold. */
    static long bytes(Platform platform) {
        long largest = 0;
        for (String name : platform.list(CACHES)) {
            if (name.startsWith("index")) {
                largest = Math.max(largest, Environment.cacheSize(text(platform, CACHES + "/" + name + "/size")));
            }
        }
        return largest == 0 ? USUALLY_WRITTEN : Math.max(CACHES_OVER * largest, LEAST_WRITTEN) / 8 * 8;
    }

    private static String text(Platform platform, String path) {
        try {
            return platform.read(path);
        } catch (IOException unknown) {
            return "";
        }
    }
}
