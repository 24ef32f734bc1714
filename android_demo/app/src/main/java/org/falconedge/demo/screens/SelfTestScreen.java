package org.falconedge.demo.screens;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.falconedge.core.Engine;
import org.falconedge.core.SelfTest;

/** Says of every embedded file, on every runtime, whether this device computes what the export computed. */
public final class SelfTestScreen extends Screen<SelfTestScreen.State> {
    /** How far a file has come. */
    public enum Stand {
        WAITING,
        RUNNING,
        PASSED,
        FAILED
    }

    /** A file on a runtime. */
    public static final class Row {
        public final String title;
        public Stand stand = Stand.WAITING;
        public String text;

        Row(String title, String text) {
            this.title = title;
            this.text = text;
        }
    }

    /** What is to be seen. */
    public static final class State {
        public List<Row> rows = Collections.emptyList();
        public boolean running;

        /** What came of all, or what is wrong. */
        public String notice = "";
    }

    private final Tried tried;
    private List<Choice> choices = Collections.emptyList();

    SelfTestScreen(Stage stage, Texts texts, Tried tried) {
        super(new State(), stage, texts);
        this.tried = tried;
        state.notice = texts.of(Text.READING_MODELS);
    }

    /** The models have been read. */
    void offer(Shelf shelf, String notice) {
        choices = new ArrayList<>();
        state.rows = new ArrayList<>();
        for (Shelf.Entry entry : shelf.entries) {
            for (Shelf.Way way : entry.ways) {
                choices.add(new Choice(entry.model, entry.manifest, way.export, way.library, way.gpu, 1));
                state.rows.add(new Row(
                        texts.of(Text.ROW, entry.title(), way.title()), texts.of(Text.SELF_TEST_WAITING)));
            }
        }
        state.notice = notice.isEmpty() ? texts.of(Text.SELF_TEST_WHAT) : notice;
        changed();
    }

    /** Test all of them, one after the other. */
    public void run() {
        if (isBusy() || choices.isEmpty()) {
            return;
        }
        state.running = true;
        state.notice = texts.of(Text.SELF_TEST_RUNNING);
        for (Row row : state.rows) {
            set(row, Stand.WAITING, texts.of(Text.SELF_TEST_WAITING));
        }
        List<Row> rows = state.rows;
        start(job -> {
            int passed = 0;
            for (int place = 0; place < choices.size() && !job.isCancelled(); place++) {
                Row row = rows.get(place);
                meanwhile(job, () -> set(row, Stand.RUNNING, texts.of(Text.SELF_TEST_RUNNING)));
                passed += test(choices.get(place), row, job) ? 1 : 0;
            }
            int found = passed;
            return () -> ended(job.isCancelled(), found);
        });
        changed();
    }

    private boolean test(Choice choice, Row row, Job job) {
        try (Engine engine = choice.open()) {
            SelfTest found = tried.run(choice, engine);
            String text = texts.of(Text.RAN_BY, tried.text(found), engine.accelerator());
            meanwhile(job, () -> set(row, found.passed ? Stand.PASSED : Stand.FAILED, text));
            return found.passed;
        } catch (Exception | OutOfMemoryError | LinkageError error) {
            String line = Problems.text(error, texts);
            meanwhile(job, () -> set(row, Stand.FAILED, line));
            return false;
        }
    }

    private void ended(boolean cancelled, int passed) {
        state.running = false;
        if (cancelled) {
            for (Row row : state.rows) {
                if (row.stand == Stand.WAITING || row.stand == Stand.RUNNING) {
                    set(row, Stand.WAITING, texts.of(Text.SELF_TEST_WAITING));
                }
            }
            state.notice = texts.of(Text.CANCELLED);
        } else if (passed == state.rows.size()) {
            state.notice = texts.of(Text.SELF_TEST_ALL, passed);
        } else {
            state.notice = texts.of(Text.SELF_TEST_SOME, passed, state.rows.size());
        }
    }

    private static void set(Row row, Stand stand, String text) {
        row.stand = stand;
        row.text = text;
    }

    @Override
    void failed(String line) {
        state.running = false;
        state.notice = line;
    }
}
