package android;

import android.app.Activity;
import android.app.Application;
import android.content.Intent;
import android.os.Bundle;
import android.system.Os;
import java.io.File;
import java.lang.reflect.Field;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;

/** The device that the classes beside act: what tests set, and what they look at. One test at a time. */
public final class Fake {
    private static final long LONGEST = 30_000;
    private static final Deque<Runnable> MAIN = new ArrayDeque<>();

    /** Files, and the app's resources (res), where they are sources. */
    public static File storage;

    public static File resources;
    public static boolean landscape;
    public static boolean camera;
    public static boolean allowed;
    public static boolean gallery = true;
    public static int orientation;

    /** Why there is no camera to be had; and what to call so that the one in use is gone. */
    public static String cameraFails;

    public static Runnable unplug;
    public static Application application;
    public static final List<Intent> STARTED = new ArrayList<>();
    public static final List<String> ASKED = new ArrayList<>();
    public static final List<String> LOG = new ArrayList<>();
    public static final Map<String, Map<String, String>> PREFERENCES = new HashMap<>();
    private static Class<?> names;

    private Fake() {}

    /** An app that was just installed: its class, and its R. */
    public static void install(Class<? extends Application> app, Class<?> r) throws Exception {
        names = r;
        synchronized (MAIN) {
            MAIN.clear();
        }
        STARTED.clear();
        ASKED.clear();
        LOG.clear();
        PREFERENCES.clear();
        landscape = camera = allowed = false;
        gallery = true;
        orientation = 0;
        cameraFails = null;
        restart(app);
    }

    /** A new process of the app. */
    public static void restart(Class<? extends Application> app) throws Exception {
        Os.ENVIRONMENT.clear();
        application = app.getDeclaredConstructor().newInstance();
        application.onCreate();
    }

    /** Start an activity; `before` is what was saved of one before it. */
    public static <A extends Activity> A launch(Class<A> type, Intent intent, Bundle before) throws Exception {
        A activity = type.getDeclaredConstructor().newInstance();
        activity.intent = intent;
        activity.create(before);
        activity.start();
        settle();
        return activity;
    }

    /** Turn the device: the activity ends, and another one takes its place. */
    public static <A extends Activity> A turn(Class<A> type, A activity) throws Exception {
        landscape = !landscape;
        activity.changing = true;
        activity.stop();
        return launch(type, activity.intent, new Bundle());
    }

    /** Do it on the main thread, soon. */
    public static void post(Runnable task) {
        synchronized (MAIN) {
            MAIN.add(task);
        }
    }

    /** Do on the main thread, which this one is, what is there to be done. */
    public static void settle() {
        for (int times = 0; ; times++) {
            Runnable next;
            synchronized (MAIN) {
                next = MAIN.poll();
            }
            if (next == null) {
                return;
            }
            if (times > 100_000) {
                throw new AssertionError("the main thread never rests");
            }
            next.run();
        }
    }

    /** Do what is there to be done until something is so. */
    public static void until(BooleanSupplier isSo) throws InterruptedException {
        long started = System.currentTimeMillis();
        for (settle(); !isSo.getAsBoolean(); settle()) {
            if (System.currentTimeMillis() - started > LONGEST) {
                throw new AssertionError("it never came");
            }
            Thread.sleep(1);
        }
    }

    /** The number of a resource; 0: there is none. */
    public static int id(String kind, String name) {
        try {
            return type(kind).getField(name).getInt(null);
        } catch (ReflectiveOperationException absent) {
            return 0;
        }
    }

    /** The name of a resource. */
    public static String name(String kind, int id) {
        try {
            for (Field field : type(kind).getFields()) {
                if (field.getInt(null) == id) {
                    return field.getName();
                }
            }
        } catch (ReflectiveOperationException error) {
            throw new AssertionError(error);
        }
        throw new AssertionError("no " + kind + " has the number " + id);
    }

    private static Class<?> type(String kind) throws ClassNotFoundException {
        return Class.forName(names.getName() + "$" + kind);
    }
}
