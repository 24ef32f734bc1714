package org.falconedge.demo.screens;

/** A screen that runs one file, chosen of those that are embedded, and tells how far it is. */
public abstract class RunScreen<S extends RunScreen.State> extends Screen<S> {
    /** What is to be seen of that. */
    public static class State {
        public final Selection selection;
        public boolean running;

        /** What it is at, and how far: of 100. */
        public String phase = "";

        public int percent;
        public String notice = "";

        State(Selection selection) {
            this.selection = selection;
        }
    }

    RunScreen(S state, Stage stage, Texts texts) {
        super(state, stage, texts);
        state.notice = texts.of(Text.READING_MODELS);
    }

    public void chooseModel(int place) {
        state.selection.chooseModel(place);
        changed();
    }

    public void chooseRuntime(int place) {
        state.selection.chooseRuntime(place);
        changed();
    }

    public void chooseThreads(int place) {
        state.selection.chooseThreads(place);
        changed();
    }

    /** It runs, and has come so far. */
    final void progress(String phase, int percent) {
        state.phase = phase;
        state.percent = Math.max(0, Math.min(percent, 100));
    }

    /** It does not run any more. */
    final void stopped(String notice) {
        state.running = false;
        state.phase = "";
        state.percent = 0;
        state.notice = notice;
    }
}
