package org.falconedge.demo.screens;

import java.util.ArrayDeque;
import java.util.Deque;

/** A stage whose work is done when a test says so, on the test's thread. */
final class Hand implements Stage {
    final Deque<Runnable> works = new ArrayDeque<>();
    final Deque<Runnable> shows = new ArrayDeque<>();

    @Override
    public void work(Runnable task) {
        works.add(task);
    }

    @Override
    public void show(Runnable task) {
        shows.add(task);
    }

    /** Do one piece of work, and show nothing of it yet. */
    void work() {
        works.remove().run();
    }

    /** Show all that there is to be shown. */
    void show() {
        while (!shows.isEmpty()) {
            shows.remove().run();
        }
    }

    /** Do all, until nothing is left. */
    void all() {
        show();
        while (!works.isEmpty()) {
            work();
            show();
        }
    }
}
