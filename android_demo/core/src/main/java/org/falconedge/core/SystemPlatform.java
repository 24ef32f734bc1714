package org.falconedge.core;

import java.io.IOException;

/** Android and Linux, by what plain Java can read: /proc, /sys and the command taskset. */
public final class SystemPlatform implements Platform {
    @Override
    public long nanoTime() {
        return System.nanoTime();
    }

    @Override
    public void sleep(long nanoseconds) throws InterruptedException {
        throw new UnsupportedOperationException();
    }

    @Override
    public Long resident() {
        throw new UnsupportedOperationException();
    }

    @Override
    public Long peak() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void pin(int[] cpus, boolean thread) throws Message {
        throw new UnsupportedOperationException();
    }

    @Override
    public int[] cpus() {
        throw new UnsupportedOperationException();
    }

    @Override
    public int cpu() {
        throw new UnsupportedOperationException();
    }

    @Override
    public String read(String path) throws IOException {
        throw new UnsupportedOperationException();
    }

    @Override
    public String[] list(String folder) {
        throw new UnsupportedOperationException();
    }
}
