package org.falconedge.demo;

import android.app.Application;
import android.content.Context;
import android.content.res.AssetManager;
import android.os.Handler;
import android.os.Looper;
import android.system.ErrnoException;
import android.system.Os;
import android.util.Log;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import org.falconedge.core.Worker;
import org.falconedge.demo.screens.Demo;
import org.falconedge.demo.screens.Offered;
import org.falconedge.demo.screens.Requests;
import org.falconedge.demo.screens.Texts;

/** What lives as long as the process: the app without its looks, and the requests over adb. */
public final class App extends Application {
    private static final String TAG = "FalconEdge";
    private static final int MOST_LINES = 100;

    private final List<String> log = new ArrayList<>();
    private Demo demo;
    private Requests requests;
    private Runnable onLine;

    @Override
    public void onCreate() {
        super.onCreate();
        try {
            Os.setenv("ORT_DISABLE_TELEMETRY", "1", true); // before ONNX Runtime's library is loaded
        } catch (ErrnoException error) {
            Log.w(TAG, "ONNX Runtime's telemetry is turned off by its Java class alone", error);
        }
    }

    static App of(Context context) {
        return (App) context.getApplicationContext();
    }

    /** The screens; made when they are first wanted, which an app that is driven over adb never does. */
    Demo demo() {
        if (demo == null) {
            AssetManager assets = getAssets();
            demo = new Demo(
                    path -> assets.open("models/" + path),
                    new AndroidStage(),
                    texts(),
                    new AndroidSettings(this),
                    new Phone(this),
                    results(),
                    scratch(),
                    exports());
        }
        return demo;
    }

    /** The requests over adb, which one thread answers in their order. */
    Requests requests() {
        if (requests == null) {
            Handler screen = new Handler(Looper.getMainLooper());
            requests = new Requests(
                    new Worker(new Phone(this).platform())::answer,
                    getDataDir(),
                    Executors.newSingleThreadExecutor(),
                    line -> {
                        Log.i(TAG, line);
                        screen.post(() -> add(line));
                    });
        }
        return requests;
    }

    Texts texts() {
        return new AndroidTexts(this);
    }

    /** The files that other apps may be given. */
    Offered offered() {
        return new Offered(results(), exports(), scratch());
    }

    /** Images that were pushed over adb; null: this device has no such place. */
    File images() {
        return getExternalFilesDir("images");
    }

    /** What was answered over adb, the last lines. */
    List<String> log() {
        return log;
    }

    /** Told on the screen's thread of every line that is added to the log; null: nobody. */
    void onLine(Runnable told) {
        onLine = told;
    }

    private void add(String line) {
        if (log.size() == MOST_LINES) {
            log.remove(0);
        }
        log.add(line);
        if (onLine != null) {
            onLine.run();
        }
    }

    private File results() {
        return new File(getFilesDir(), "results");
    }

    private File scratch() {
        return new File(getCacheDir(), "scratch");
    }

    private File exports() {
        return getExternalFilesDir("results");
    }
}
