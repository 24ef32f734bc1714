package org.falconedge.runner;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.falconedge.core.Json;
import org.falconedge.core.JsonException;
import org.falconedge.core.SystemPlatform;
import org.falconedge.core.Worker;

/**
 * A worker behind the shell's pipe, on a phone without an app: requests of runtime_bench/worker.py line by line, answers likewise.
 *
 * <p>Started by app_process with CLASSPATH and LD_LIBRARY_PATH (runtime_bench/devices/app_process.py): its class loader finds the
 * native libraries of the runtimes in the folders of the latter. It ends with its input, even in the middle of a run.
 */
public final class Main {
    private static final String QUIT = "quit";

    private Main() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), false, "UTF-8");
        System.setOut(System.err); // what others print must not get between the answers
        BlockingQueue<String> requests = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> read(requests), "requests");
        reader.setDaemon(true);
        reader.start();
        Worker worker = new Worker(new SystemPlatform());
        String request = requests.take();
        while (!asksToQuit(request)) {
            answers.print(worker.answer(request) + "\n");
            answers.flush();
            request = requests.take();
        }
        Runtime.getRuntime().halt(0);
    }

    /** Queue what comes; when nothing more will, nobody waits for an answer. */
    private static void read(BlockingQueue<String> requests) {
        try (BufferedReader lines =
                new BufferedReader(
                        new InputStreamReader(new FileInputStream(FileDescriptor.in), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                requests.add(line);
            }
        } catch (IOException gone) {
            // the same as its end
        } finally {
            Runtime.getRuntime().halt(0);
        }
    }

    private static boolean asksToQuit(String request) {
        try {
            Object asked = Json.parse(request);
            return asked instanceof Map && QUIT.equals(((Map<?, ?>) asked).get("do"));
        } catch (JsonException damaged) {
            return false; // the worker says so
        }
    }
}
