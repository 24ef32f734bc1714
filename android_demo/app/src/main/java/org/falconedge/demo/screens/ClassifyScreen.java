package org.falconedge.demo.screens;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.falconedge.core.Engine;
import org.falconedge.core.Image;

/** Shows an image, or what the camera sees, to a model, or to two side by side. */
public final class ClassifyScreen extends Screen<ClassifyScreen.State> {
    /** Where an image comes from: decoded and upright, off the screen's thread. */
    public interface Picture {
        Image image() throws Exception;
    }

    /** What is to be seen. */
    public static final class State {
        public final Selection first;
        public final Selection second;
        public boolean sideBySide;

        /** The camera is on, and its frames are wanted. */
        public boolean camera;

        /** Every frame is classified, not only a captured one. */
        public boolean live;

        public boolean busy;

        /** The image that the answers are of; null: none yet. */
        public Image picture;

        public List<Answer> answers = Collections.emptyList();
        public String speedup = "";

        /** What came of the self-test of a model that is used for the first time, or that did not pass. */
        public String selfTest = "";

        /** What is wrong, or what to do; empty: nothing. */
        public String notice = "";

        State(Selection first, Selection second) {
            this.first = first;
            this.second = second;
        }
    }

    /** Runs of each of two models that are compared, in turns; the medians count. */
    private static final int TURNS = 5;

    private final Settings settings;
    private final OpenEngines engines;
    private final Tried tried;
    private boolean capturing;
    private boolean again;
    private boolean isOffered;
    private Picture early;

    ClassifyScreen(Stage stage, Texts texts, Settings settings, OpenEngines engines, Tried tried, int cores) {
        super(
                new State(new Selection("first", cores, settings), new Selection("second", cores, settings)),
                stage,
                texts);
        this.settings = settings;
        this.engines = engines;
        this.tried = tried;
        state.sideBySide = "yes".equals(settings.get("side by side"));
        state.notice = texts.of(Text.READING_MODELS);
    }

    /** The models have been read. */
    void offer(Shelf shelf, String notice) {
        state.first.offer(shelf, 0);
        state.second.offer(shelf, 1);
        state.notice = notice.isEmpty() && state.picture == null ? texts.of(Text.PICK_SOMETHING) : notice;
        isOffered = true;
        changed();
        if (early != null) {
            work(early);
            early = null;
        }
    }

    public void chooseModel(boolean second, int place) {
        again((second ? state.second : state.first).chooseModel(place));
    }

    public void chooseRuntime(boolean second, int place) {
        again((second ? state.second : state.first).chooseRuntime(place));
    }

    public void chooseThreads(boolean second, int place) {
        again((second ? state.second : state.first).chooseThreads(place));
    }

    /** Whether two models are compared. */
    public void sideBySide(boolean wanted) {
        if (wanted != state.sideBySide) {
            state.sideBySide = wanted;
            settings.put("side by side", wanted ? "yes" : null);
            again(true);
        }
    }

    /** Classify an image, in place of the one before. */
    public void show(Picture picture) {
        camera(false);
        if (isOffered) {
            work(picture);
        } else {
            early = picture; // Android has started the app anew to bring what was picked
        }
    }

    /** The camera is wanted, or no longer. */
    public void camera(boolean wanted) {
        state.camera = wanted;
        state.live &= wanted;
        capturing = false;
        changed();
    }

    /** Classify every frame from now on, or no longer. */
    public void live(boolean wanted) {
        state.live = wanted && state.camera;
        changed();
    }

    /** Keep the next frame. */
    public void capture() {
        capturing = state.camera;
    }

    /** Whether a frame would be classified now: otherwise it need not be decoded. */
    boolean wantsFrame() {
        return state.camera && !isBusy() && (state.live || capturing) && !state.first.isEmpty();
    }

    /** The camera has seen something. */
    public void frame(Picture picture) {
        if (wantsFrame()) {
            if (capturing) {
                camera(false); // what was captured stays to be looked at
            }
            work(picture);
        }
    }

    /** Something outside went wrong: the camera, the gallery, a permission. */
    public void complain(Text text, Object... values) {
        camera(false);
        state.notice = texts.of(text, values);
        changed();
    }

    @Override
    public void cancel() {
        again = false;
        super.cancel();
    }

    private void again(boolean isOther) {
        if (!isOther) {
            return;
        }
        Image picture = state.picture;
        if (isBusy()) {
            again = true; // what is worked on is of what was chosen before
        } else if (picture != null && !state.live) {
            work(() -> picture);
        }
        changed();
    }

    private void work(Picture picture) {
        if (isBusy()) {
            cancel();
        }
        state.busy = true;
        state.notice = "";
        boolean pair = state.sideBySide;
        boolean live = state.live;
        List<Choice> choices = new ArrayList<>();
        List<String> titles = new ArrayList<>();
        try {
            choices.add(state.first.choice(texts));
            titles.add(state.first.title(texts));
            if (pair) {
                choices.add(state.second.choice(texts));
                titles.add(state.second.title(texts));
            }
        } catch (Exception error) {
            failed(Problems.text(error, texts));
            changed();
            return;
        }
        start(job -> {
            Image image = picture.image();
            List<Inference> inferences = new ArrayList<>();
            List<String> tests = new ArrayList<>();
            for (int place = 0; place < choices.size(); place++) {
                Choice choice = choices.get(place);
                Engine engine = engines.of(choice);
                String test = tried.first(choice, engine);
                if (test != null) {
                    tests.add(titles.get(place) + ": " + test);
                }
                inferences.add(new Inference(image, choice, engine, texts));
            }
            if (!live) {
                for (Inference inference : inferences) {
                    inference.warmUp();
                }
            }
            for (int turn = 0; turn < (pair && !live ? TURNS : 1) && !job.isCancelled(); turn++) {
                for (Inference inference : inferences) {
                    inference.run();
                }
            }
            if (job.isCancelled()) {
                return () -> state.busy = false;
            }
            List<Answer> answers = new ArrayList<>();
            for (int place = 0; place < inferences.size(); place++) {
                answers.add(inferences.get(place).answer(titles.get(place)));
            }
            return () -> answered(image, answers, tests);
        });
        changed();
    }

    private void answered(Image image, List<Answer> answers, List<String> tests) {
        state.busy = false;
        state.picture = image;
        state.answers = answers;
        state.selfTest = Words.join("\n", tests);
        state.speedup = answers.size() == 2 ? speedup(answers.get(0).inferenceNs, answers.get(1).inferenceNs) : "";
        if (again) {
            again = false;
            work(() -> image);
        }
    }

    private String speedup(double first, double second) {
        Selection faster = second <= first ? state.second : state.first;
        double times = Math.max(first, second) / Math.min(first, second);
        return texts.of(Text.FASTER, faster.models().get(faster.model()), Numbers.text(times, 2));
    }

    @Override
    void failed(String line) {
        again = false;
        state.busy = false;
        state.live = false;
        state.answers = Collections.emptyList();
        state.speedup = "";
        state.notice = line;
    }
}
