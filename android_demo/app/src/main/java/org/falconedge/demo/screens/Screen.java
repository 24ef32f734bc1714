package org.falconedge.demo.screens;

/**
 * A screen without its look: a state, which outlives the views that show it (Android makes new ones when the device is
 * turned), and at most one thing that it works on.
 *
 * <p>All methods are for the screen's thread.
 */
public abstract class Screen<S> {
    /** What shows a state. */
    public interface View<S> {
        void show(S state);
    }

    /** Takes its time, and ends early if it is cancelled; what it returns is done on the screen's thread. */
    interface Task {
        Runnable run(Job job) throws Exception;
    }

    /** One run of a task. */
    static final class Job {
        private volatile boolean cancelled;
        private volatile Runnable stop;

        boolean isCancelled() {
            return cancelled;
        }

        /** What to call, besides, when it is cancelled. */
        void stopBy(Runnable stop) {
            this.stop = stop;
            if (cancelled) {
                stop.run();
            }
        }

        void cancel() {
            cancelled = true;
            Runnable also = stop;
            if (also != null) {
                also.run();
            }
        }
    }

    /** What the view shows: for it to read alone. */
    protected final S state;

    final Stage stage;
    final Texts texts;
    private View<S> view;
    private Job current;

    Screen(S state, Stage stage, Texts texts) {
        this.state = state;
        this.stage = stage;
        this.texts = texts;
    }

    /** Show the state in this view from now on. */
    public final void attach(View<S> shown) {
        view = shown;
        changed();
    }

    /** This view is gone; the state stays. */
    public final void detach(View<S> gone) {
        if (view == gone) {
            view = null;
        }
    }

    /** Whether something is worked on. */
    final boolean isBusy() {
        return current != null;
    }

    /** End what is worked on, soon. */
    public void cancel() {
        if (current != null) {
            current.cancel();
        }
    }

    /** The state is another one now. */
    final void changed() {
        if (view != null) {
            view.show(state);
        }
    }

    /** Work on something; whatever goes wrong becomes a line of text. */
    final void start(Task task) {
        Job job = new Job();
        current = job;
        stage.work(
                () -> {
                    Runnable after;
                    try {
                        after = task.run(job);
                    } catch (Exception | OutOfMemoryError | StackOverflowError | LinkageError error) {
                        String line = Problems.text(error, texts);
                        after = () -> failed(line);
                    }
                    Runnable last = after;
                    stage.show(() -> finish(job, last));
                });
    }

    /** What a task has to tell while it is at work. */
    final void meanwhile(Job job, Runnable change) {
        stage.show(
                () -> {
                    if (current == job) {
                        change.run();
                        changed();
                    }
                });
    }

    /** What has ended is done with, unless something else was started meanwhile. */
    private void finish(Job job, Runnable after) {
        if (current == job) {
            current = null;
            after.run();
            changed();
        }
    }

    /** The task has failed, for this reason. */
    abstract void failed(String line);
}
