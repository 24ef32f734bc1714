package org.falconedge.demo.screens;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.falconedge.core.Message;

/** Which model is to run, on which runtime, with how many threads; remembered under a name. */
public final class Selection {
    private final String name;
    private final int cores;
    private final Settings settings;
    private List<Shelf.Entry> entries = Collections.emptyList();
    private boolean isOffered;
    private int model;
    private int runtime;
    private int threads;

    /** Of nothing, until there are models to choose from. */
    Selection(String name, int cores, Settings settings) {
        this.name = name;
        this.cores = Math.max(1, cores);
        this.settings = settings;
    }

    /** Choose from these from now on: what is remembered, or else the model at this place. */
    void offer(Shelf shelf, int place) {
        isOffered = true;
        entries = shelf.entries;
        model = Math.max(0, index(models(), settings.get(name + ".model"), Math.min(place, entries.size() - 1)));
        runtime = index(runtimes(), settings.get(name + ".runtime"), 0);
        threads = index(threadCounts(), settings.get(name + ".threads"), 0);
    }

    /** Titles of models, each in one precision. */
    public List<String> models() {
        List<String> titles = new ArrayList<>();
        for (Shelf.Entry entry : entries) {
            String title = entry.title();
            boolean twice = titles.contains(title);
            titles.add(twice ? title + " (" + entry.model.folder + ")" : title);
        }
        return titles;
    }

    /** Titles of what can run the model. */
    public List<String> runtimes() {
        List<String> titles = new ArrayList<>();
        if (!entries.isEmpty()) {
            for (Shelf.Way way : entries.get(model).ways) {
                titles.add(way.title());
            }
        }
        return titles;
    }

    /** Numbers of threads: powers of two, up to what this device has cores. */
    public List<String> threadCounts() {
        List<String> counts = new ArrayList<>();
        for (int count = 1; count < cores; count *= 2) {
            counts.add(String.valueOf(count));
        }
        counts.add(String.valueOf(cores));
        return counts;
    }

    public int model() {
        return model;
    }

    public int runtime() {
        return runtime;
    }

    public int threads() {
        return threads;
    }

    /** Whether something else is chosen now. The runtime stays, where it can run the other model, too. */
    boolean chooseModel(int place) {
        if (place == model || place < 0 || place >= entries.size()) {
            return false;
        }
        String before = runtimes().get(runtime);
        model = place;
        runtime = index(runtimes(), before, 0);
        remember();
        return true;
    }

    /** Whether something else is chosen now. */
    boolean chooseRuntime(int place) {
        if (place == runtime || place < 0 || place >= runtimes().size()) {
            return false;
        }
        runtime = place;
        remember();
        return true;
    }

    /** Whether something else is chosen now. */
    boolean chooseThreads(int place) {
        if (place == threads || place < 0 || place >= threadCounts().size()) {
            return false;
        }
        threads = place;
        remember();
        return true;
    }

    /** Whether there is something to choose. */
    public boolean isEmpty() {
        return entries.isEmpty();
    }

    /** As in "standard · int8, ONNX Runtime, 4 threads". */
    String title(Texts texts) {
        int count = Integer.parseInt(threadCounts().get(threads));
        return texts.of(Text.CHOICE, models().get(model), runtimes().get(runtime), count);
    }

    /** What is chosen. Throws Message where nothing can be. */
    Choice choice(Texts texts) throws Message {
        if (entries.isEmpty()) {
            throw new Message(texts.of(isOffered ? Text.NO_MODELS : Text.READING_MODELS));
        }
        Shelf.Entry entry = entries.get(model);
        Shelf.Way way = entry.ways.get(runtime);
        int count = Integer.parseInt(threadCounts().get(threads));
        return new Choice(entry.model, entry.manifest, way.export, way.library, way.gpu, count);
    }

    private void remember() {
        settings.put(name + ".model", models().get(model));
        settings.put(name + ".runtime", runtimes().get(runtime));
        settings.put(name + ".threads", threadCounts().get(threads));
    }

    private static int index(List<String> titles, String title, int otherwise) {
        int place = titles.indexOf(title);
        return place < 0 ? otherwise : place;
    }
}
