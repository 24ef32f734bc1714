package org.falconedge.core;

import java.io.IOException;

/** What measuring needs of the machine beneath. See SystemPlatform, which will do on Android and Linux. */
public interface Platform {
    /** Nanoseconds of the monotonic clock that all processes of the device share. */
    long nanoTime();

    /** Sleep, at least so many nanoseconds. */
    void sleep(long nanoseconds) throws InterruptedException;

    /** Bytes of this process that are resident; null where unknown. */
    Long resident();

    /** The most that were; null where unknown. */
    Long peak();

    /** Run on these CPUs only: the whole process, or the calling thread. Throws Message where that cannot be. */
    void pin(int[] cpus, boolean thread) throws Message;

    /** The CPUs that this process may use; empty where unknown. */
    int[] cpus();

    /** The CPU that this thread runs on; -1 where unknown. */
    int cpu();

    /** The text of a file of /proc or /sys, without the white space around it. */
    String read(String path) throws IOException;

    /** The files of a folder, sorted; empty where it cannot be read. */
    String[] list(String folder);
}
