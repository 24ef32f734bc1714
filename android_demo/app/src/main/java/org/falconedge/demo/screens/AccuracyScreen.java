package org.falconedge.demo.screens;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.falconedge.core.Engine;
import org.falconedge.core.Environment;
import org.falconedge.core.Image;
import org.falconedge.core.Json;
import org.falconedge.core.Message;
import org.falconedge.core.Pixels;
import org.falconedge.core.Results;
import org.falconedge.core.Worker;

/**
 * Shows a folder of images to a model, by the worker's own requests, and keeps what it says of each.
 *
 * <p>A metric is made of that by the host, the same as of every other device; here it is counted how many are of the
 * class that their folder is called by.
 */
public final class AccuracyScreen extends RunScreen<AccuracyScreen.State> {
    /** An image, and what it is called: "CLASS/FILE" where its class is known. */
    public static final class Named {
        final String name;
        final ClassifyScreen.Picture picture;

        public Named(String name, ClassifyScreen.Picture picture) {
            this.name = name;
            this.picture = picture;
        }
    }

    /** Where images come from; asked off the screen's thread. */
    public interface Gallery {
        List<Named> images() throws Exception;
    }

    /** What is to be seen. */
    public static final class State extends RunScreen.State {
        /** What was found; empty: nothing yet. */
        public String result = "";

        State(Selection selection) {
            super(selection);
        }
    }

    private static final int SCHEMA_VERSION = 1; // of accuracy.json: docs/schemas/answers.json
    private static final int AT_A_TIME = 64;
    private static final int MOST_NAMES = 3;

    private final OpenEngines engines;
    private final Tried tried;
    private final Device device;
    private final File cache;
    private final File exports;
    private File answers;

    /** `cache` is for files of a moment, `exports` for what others take; null: there is no such place. */
    AccuracyScreen(
            Stage stage,
            Texts texts,
            Settings settings,
            OpenEngines engines,
            Tried tried,
            Device device,
            File cache,
            File exports) {
        super(new State(new Selection("accuracy", device.cores(), settings)), stage, texts);
        this.engines = engines;
        this.tried = tried;
        this.device = device;
        this.cache = cache;
        this.exports = exports;
    }

    /** The models have been read. */
    void offer(Shelf shelf, String notice) {
        state.selection.offer(shelf, 0);
        state.notice = notice.isEmpty() ? texts.of(Text.ACCURACY_WHAT) : notice;
        changed();
    }

    /** Something outside went wrong. */
    public void complain(Text text, Object... values) {
        state.notice = texts.of(text, values);
        changed();
    }

    /** What the model said of every image of the last run, to be shared; null: nothing. */
    public File answers() {
        return answers;
    }

    /** Show these images to the model that is chosen. */
    public void run(Gallery gallery) {
        if (isBusy()) {
            return;
        }
        Choice choice;
        try {
            choice = state.selection.choice(texts);
            if (choice.gpu) {
                throw new Message(texts.of(Text.ACCURACY_ON_CPU));
            }
        } catch (Message error) {
            failed(error.getMessage());
            changed();
            return;
        }
        state.running = true;
        state.result = "";
        state.notice = "";
        progress(texts.of(Text.LOADING), 0);
        start(job -> {
            engines.close();
            Files.folder(cache);
            try (Worker worker = new Worker(device.platform())) {
                return shown(gallery.images(), choice, worker, job);
            }
        });
        changed();
    }

    private Runnable shown(List<Named> images, Choice choice, Worker worker, Job job) throws Exception {
        if (images.isEmpty()) {
            throw new Message(texts.of(Text.NO_IMAGES));
        }
        boolean values = choice.manifest.outputs.get(0).kind.equals("values");
        String reduction = values ? "none" : "classes";
        String test;
        try (Engine engine = choice.open()) {
            test = tried.first(choice, engine);
        }
        Map<String, Object> before = environment();
        long created = device.now();
        Map<String, Object> runtime = load(choice, worker);
        Tally tally = new Tally(choice.manifest);
        List<String> unread = new ArrayList<>();
        File outputs = new File(cache, "outputs.bin");
        try (OutputStream all = new FileOutputStream(outputs)) {
            for (int start = 0; start < images.size() && !job.isCancelled(); start += AT_A_TIME) {
                int at = start;
                meanwhile(job, () -> progress(
                        texts.of(Text.IMAGES_DONE, at, images.size()), (int) (100L * at / images.size())));
                List<Named> some = images.subList(start, Math.min(start + AT_A_TIME, images.size()));
                List<String> names = new ArrayList<>();
                List<Image> prepared = prepared(some, choice, names, unread, job);
                if (!prepared.isEmpty()) {
                    byte[] found = evaluated(prepared, choice, worker, reduction);
                    all.write(found);
                    tally.add(names, values ? null : found);
                }
            }
        }
        if (job.isCancelled()) {
            return () -> ended("", texts.of(Text.CANCELLED));
        }
        if (tally.images() == 0) {
            throw new Message(texts.of(Text.NO_IMAGE_READ, named(unread)));
        }
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("schema_version", SCHEMA_VERSION);
        document.put("created", Results.date(created));
        document.put("device", device.name());
        document.put("before", before);
        document.put("after", environment());
        document.put("model", Results.model(choice.model, choice.export.file));
        document.put("runtime", runtime);
        document.put("reduction", reduction);
        document.put("labels", choice.manifest.labels);
        tally.tell(document);
        Runnable kept = kept(document, tally, outputs, unread);
        return () -> {
            kept.run();
            state.notice = test == null ? state.notice : test + "\n" + state.notice;
        };
    }

    private Map<String, Object> environment() {
        return Environment.now(device.platform(), device.battery(), device.thermalStatus());
    }

    /** Have the worker load the file; what runs it, as results tell of it. */
    private Map<String, Object> load(Choice choice, Worker worker) throws Message, IOException {
        String name = choice.export.file.substring(choice.export.file.lastIndexOf('/') + 1);
        File file = new File(cache, name);
        try (OutputStream stream = new FileOutputStream(file)) {
            stream.write(choice.model.bytes(choice.export.file));
        }
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("do", "load");
        request.put("path", file.getPath());
        request.put("runtime", choice.library.name());
        request.put("threads", (long) choice.threads);
        Map<String, Object> runtime = new LinkedHashMap<>();
        for (Map.Entry<?, ?> each : ((Map<?, ?>) ask(worker, request).get("runtime")).entrySet()) {
            runtime.put((String) each.getKey(), each.getValue());
        }
        runtime.put("threads", choice.threads);
        return runtime;
    }

    private List<Image> prepared(
            List<Named> images, Choice choice, List<String> names, List<String> unread, Job job) {
        List<Image> prepared = new ArrayList<>();
        for (Named named : images) {
            if (job.isCancelled()) {
                break;
            }
            try {
                Image image = named.picture.image();
                prepared.add(Pixels.prepare(image, Pixels.fitting(choice.manifest.input, image)));
                names.add(named.name);
            } catch (Exception | OutOfMemoryError error) {
                unread.add(named.name + " (" + Problems.text(error, texts) + ")");
            }
        }
        return prepared;
    }

    private byte[] evaluated(List<Image> prepared, Choice choice, Worker worker, String reduction)
            throws Message, IOException {
        File pixels = new File(cache, "pixels.npy");
        File outputs = new File(cache, "outputs.part");
        Npy.write(pixels, prepared);
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("do", "evaluate");
        request.put("pixels", pixels.getPath());
        request.put("mean", list(choice.manifest.input.mean));
        request.put("std", list(choice.manifest.input.std));
        request.put("start", 0L);
        request.put("stop", (long) prepared.size());
        request.put("outputs", outputs.getPath());
        request.put("reduction", reduction);
        ask(worker, request);
        try (InputStream stream = new FileInputStream(outputs)) {
            return Files.bytes(stream, Integer.MAX_VALUE - 8);
        }
    }

    private static Map<String, Object> ask(Worker worker, Map<String, Object> request) throws Message {
        Map<String, Object> answer = worker.answer(request);
        Object error = answer.get("error");
        if (error != null) {
            throw new Message(String.valueOf(error));
        }
        return answer;
    }

    private static List<Object> list(float[] values) {
        List<Object> list = new ArrayList<>();
        for (float value : values) {
            list.add((double) value);
        }
        return list;
    }

    private Runnable kept(Map<String, Object> document, Tally tally, File outputs, List<String> unread)
            throws IOException {
        File folder = exports == null ? cache : exports;
        File kept = new File(folder, "accuracy.json");
        Files.replace(kept, Json.text(document) + "\n");
        File raw = new File(folder, "accuracy.bin");
        raw.delete(); // of an earlier run
        if (document.get("classes") == null) {
            copy(outputs, raw);
        }
        String result = tally.known() > 0
                ? texts.of(
                        Text.ACCURACY,
                        tally.right(),
                        tally.known(),
                        Numbers.percent((double) tally.right() / tally.known()))
                : texts.of(Text.IMAGES_SHOWN, tally.images());
        String notice = unread.isEmpty()
                ? texts.of(Text.EXPORTED, kept.getPath())
                : texts.of(Text.UNREAD, named(unread));
        return () -> {
            answers = kept;
            ended(result, notice);
        };
    }

    private static void copy(File from, File to) throws IOException {
        try (InputStream source = new FileInputStream(from); OutputStream copy = new FileOutputStream(to)) {
            byte[] buffer = new byte[1 << 16];
            for (int count; (count = source.read(buffer)) > 0; ) {
                copy.write(buffer, 0, count);
            }
        }
    }

    private static String named(List<String> names) {
        String first = Words.join(", ", names.subList(0, Math.min(MOST_NAMES, names.size())));
        return names.size() > MOST_NAMES ? first + ", ... (" + names.size() + ")" : first;
    }

    private void ended(String result, String notice) {
        stopped(notice);
        state.result = result;
    }

    @Override
    void failed(String line) {
        ended("", line);
    }
}
