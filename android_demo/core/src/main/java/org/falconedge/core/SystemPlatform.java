package org.falconedge.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.TreeSet;
import java.util.concurrent.locks.LockSupport;

/** Android and Linux, by what plain Java can read: /proc, /sys, and the command taskset to pin. */
public final class SystemPlatform implements Platform {
    private static final int LARGEST_FILE = 1 << 20;
    private static final int MOST_CPUS = 1 << 16;

    /** Of the fields of /proc/PID/stat, counted from behind the name: the CPU. */
    private static final int CPU_FIELD = 36;

    @Override
    public long nanoTime() {
        return System.nanoTime();
    }

    @Override
    public void sleep(long nanoseconds) throws InterruptedException {
        long until = System.nanoTime() + nanoseconds;
        for (long left = nanoseconds; left > 0; left = until - System.nanoTime()) {
            LockSupport.parkNanos(left); // Thread.sleep rounds to milliseconds
            if (Thread.interrupted()) {
                throw new InterruptedException();
            }
        }
    }

    @Override
    public Long resident() {
        return kilobytes("VmRSS");
    }

    @Override
    public Long peak() {
        return kilobytes("VmHWM");
    }

    @Override
    public void pin(int[] cpus, boolean thread) throws Message {
        String wanted = Fields.join(asList(cpus));
        String said;
        try {
            BigInteger mask = BigInteger.ZERO;
            for (int cpu : cpus) {
                if (cpu < 0 || cpu >= MOST_CPUS) {
                    throw new Message("no such CPU: " + cpu);
                }
                mask = mask.setBit(cpu);
            }
            String self = new File(thread ? "/proc/thread-self" : "/proc/self").getCanonicalFile().getName();
            said = output("taskset", thread ? "-p" : "-ap", mask.toString(16), self);
        } catch (IOException error) {
            throw new Message("cannot run on CPUs " + wanted + ": " + error.getMessage(), error);
        }
        int[] sorted = cpus.clone();
        Arrays.sort(sorted);
        if (!Arrays.equals(sorted, allowed(thread ? "/proc/thread-self/status" : "/proc/self/status"))) {
            throw new Message("cannot run on CPUs " + wanted + ": not given to this process"
                    + (said.isEmpty() ? "" : " (" + said + ")"));
        }
    }

    @Override
    public int[] cpus() {
        return allowed("/proc/self/status");
    }

    @Override
    public int cpu() {
        try {
            String stat = read("/proc/thread-self/stat");
            return Integer.parseInt(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[CPU_FIELD]);
        } catch (IOException | RuntimeException unknown) {
            return -1;
        }
    }

    @Override
    public String read(String path) throws IOException {
        try (InputStream file = new FileInputStream(path)) {
            return contents(file);
        }
    }

    @Override
    public String[] list(String folder) {
        String[] found = new File(folder).list();
        if (found == null) {
            return new String[0];
        }
        Arrays.sort(found);
        return found;
    }

    private Long kilobytes(String field) {
        String value = field("/proc/self/status", field);
        try {
            return value == null ? null : Long.valueOf(Long.parseLong(value.split(" ")[0]) * 1024);
        } catch (NumberFormatException strange) {
            return null;
        }
    }

    /** The CPUs of a status file, as in "0-3,6". */
    private int[] allowed(String path) {
        String value = field(path, "Cpus_allowed_list");
        TreeSet<Integer> found = new TreeSet<>();
        try {
            for (String part : value == null || value.isEmpty() ? new String[0] : value.split(",")) {
                String[] ends = part.split("-");
                int last = Math.min(Integer.parseInt(ends[ends.length - 1]), MOST_CPUS - 1);
                for (int cpu = Integer.parseInt(ends[0]); cpu <= last; cpu++) {
                    found.add(cpu);
                }
            }
        } catch (NumberFormatException strange) {
            return new int[0];
        }
        int[] cpus = new int[found.size()];
        int count = 0;
        for (int cpu : found) {
            cpus[count++] = cpu;
        }
        return cpus;
    }

    /** The value of a line of a status file; null where there is none. */
    private String field(String path, String name) {
        try {
            for (String line : read(path).split("\n")) {
                if (line.startsWith(name + ":")) {
                    return line.substring(name.length() + 1).trim();
                }
            }
        } catch (IOException unknown) {
            return null;
        }
        return null;
    }

    /** What a command prints, errors too, on one line. */
    private static String output(String... command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String said = contents(process.getInputStream());
        try {
            return process.waitFor() == 0 ? "" : said.replaceAll("\\s+", " ");
        } catch (InterruptedException interrupted) {
            process.destroy();
            Thread.currentThread().interrupt();
            return "interrupted";
        }
    }

    private static String contents(InputStream file) throws IOException {
        ByteArrayOutputStream found = new ByteArrayOutputStream();
        byte[] chunk = new byte[1 << 13];
        for (int count = file.read(chunk); count >= 0 && found.size() < LARGEST_FILE; count = file.read(chunk)) {
            found.write(chunk, 0, count);
        }
        return found.toString("UTF-8").trim();
    }

    private static Iterable<Integer> asList(int[] cpus) {
        java.util.List<Integer> found = new java.util.ArrayList<>();
        for (int cpu : cpus) {
            found.add(cpu);
        }
        return found;
    }
}
