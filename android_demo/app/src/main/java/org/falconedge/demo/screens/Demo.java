package org.falconedge.demo.screens;

import java.io.File;
import org.falconedge.core.Message;
import org.falconedge.core.Models;

/** The app without its looks: its screens, and what they share. It lives as long as the process. */
public final class Demo {
    /** The screens, in the order of their tabs. */
    public enum Tab {
        CLASSIFY,
        SELF_TEST,
        BENCHMARK,
        ACCURACY
    }

    public final ClassifyScreen classify;
    public final SelfTestScreen selfTest;
    public final BenchmarkScreen benchmark;
    public final AccuracyScreen accuracy;
    private final Models.Source source;
    private final Stage stage;
    private final Texts texts;
    private final Settings settings;
    private final OpenEngines engines = new OpenEngines();
    private boolean started;

    /**
     * `results` is where benchmarks are kept, `cache` is for files of a moment, and `exports` is where a cable reaches
     * files; null: there is no such place.
     */
    public Demo(
            Models.Source source,
            Stage stage,
            Texts texts,
            Settings settings,
            Device device,
            File results,
            File cache,
            File exports) {
        this.source = source;
        this.stage = stage;
        this.texts = texts;
        this.settings = settings;
        Tried tried = new Tried(settings, texts);
        classify = new ClassifyScreen(stage, texts, settings, engines, tried, device.cores());
        selfTest = new SelfTestScreen(stage, texts, tried);
        benchmark = new BenchmarkScreen(stage, texts, settings, engines, device, results, exports);
        accuracy = new AccuracyScreen(stage, texts, settings, engines, tried, device, cache, exports);
    }

    /** Read the models, if they have not been read. */
    public void start() {
        if (started) {
            return;
        }
        started = true;
        stage.work(() -> {
            try {
                Shelf shelf = Shelf.read(source, texts);
                String complaints = Words.join("\n", shelf.complaints);
                String notice = shelf.entries.isEmpty() && complaints.isEmpty() ? texts.of(Text.NO_MODELS) : complaints;
                stage.show(() -> offer(shelf, notice));
            } catch (Message | RuntimeException | OutOfMemoryError | StackOverflowError error) {
                String line = texts.of(Text.MODELS_BROKEN, Problems.text(error, texts));
                stage.show(() -> offer(Shelf.NONE, line));
            }
        });
    }

    private void offer(Shelf shelf, String notice) {
        classify.offer(shelf, notice);
        selfTest.offer(shelf, notice);
        benchmark.offer(shelf, notice);
        accuracy.offer(shelf, notice);
    }

    /** The tab that is open: the one of the last time. */
    public Tab tab() {
        for (Tab tab : Tab.values()) {
            if (tab.name().equals(settings.get("tab"))) {
                return tab;
            }
        }
        return Tab.CLASSIFY;
    }

    /** Go to a tab. The camera is only on where it is seen. */
    public void open(Tab tab) {
        settings.put("tab", tab.name());
        if (tab != Tab.CLASSIFY) {
            classify.camera(false);
        }
    }

    /** The app is out of sight: no camera, and no engine that nobody uses. */
    public void hidden() {
        classify.camera(false);
        stage.work(engines::close);
    }
}
