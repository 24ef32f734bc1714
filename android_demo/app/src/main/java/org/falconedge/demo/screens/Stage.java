package org.falconedge.demo.screens;

/** Where work is done: one thing at a time behind the screen, and what follows from it on the screen's thread. */
public interface Stage {
    /** Do it after all that was asked before, on a thread that may take its time. */
    void work(Runnable task);

    /** Do it on the screen's thread, soon. */
    void show(Runnable task);
}
