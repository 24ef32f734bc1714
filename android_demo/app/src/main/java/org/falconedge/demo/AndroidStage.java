package org.falconedge.demo;

import android.os.Handler;
import android.os.Looper;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.falconedge.demo.screens.Stage;

/** One thread that works, and Android's own, which shows. */
final class AndroidStage implements Stage {
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final Handler screen = new Handler(Looper.getMainLooper());

    @Override
    public void work(Runnable task) {
        worker.execute(task);
    }

    @Override
    public void show(Runnable task) {
        screen.post(task);
    }
}
