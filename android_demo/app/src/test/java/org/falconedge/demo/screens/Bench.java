package org.falconedge.demo.screens;

import java.io.IOException;
import org.falconedge.core.Message;
import org.falconedge.core.Platform;
import org.falconedge.core.SystemPlatform;

/** A phone on a test's bench: its clock only goes when it is looked at, slept by, or an inference is run. */
final class Bench implements Device, Platform {
    /** Nanoseconds. */
    long clock = 1_000_000_000;

    /** Milliseconds since 1970. */
    long date = 1_790_000_000_000L;

    long slept;
    Integer thermal = 0;
    Double headroom = 0.25;
    Long pss = 80_000_000L;
    Runnable onSleep = () -> {};
    Runnable onDate = () -> {};
    private final Platform real = new SystemPlatform();

    @Override
    public Platform platform() {
        return this;
    }

    @Override
    public String name() {
        return "phone:Test";
    }

    @Override
    public int cores() {
        return 6;
    }

    @Override
    public String battery() {
        return "80%, charging";
    }

    @Override
    public Integer thermalStatus() {
        return thermal;
    }

    @Override
    public Double thermalHeadroom() {
        return headroom;
    }

    @Override
    public Long pss() {
        return pss;
    }

    @Override
    public long now() {
        onDate.run();
        return date;
    }

    @Override
    public long nanoTime() {
        clock += 100;
        return clock;
    }

    @Override
    public void sleep(long nanoseconds) {
        clock += nanoseconds;
        slept += nanoseconds;
        onSleep.run();
    }

    @Override
    public Long resident() {
        return 100_000_000L;
    }

    @Override
    public Long peak() {
        return 120_000_000L;
    }

    @Override
    public void pin(int[] cpus, boolean thread) throws Message {
        throw new Message("not here");
    }

    @Override
    public int[] cpus() {
        return new int[0];
    }

    @Override
    public int cpu() {
        return -1;
    }

    @Override
    public String read(String path) throws IOException {
        return real.read(path);
    }

    @Override
    public String[] list(String folder) {
        return real.list(folder);
    }
}
