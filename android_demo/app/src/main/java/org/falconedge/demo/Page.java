package org.falconedge.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.net.Uri;
import android.view.LayoutInflater;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ProgressBar;
import android.widget.TextView;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.falconedge.demo.screens.RunScreen;
import org.falconedge.demo.screens.Screen;

/** A tab of the app: a view, and what binds it to its screen. */
abstract class Page<S> implements Screen.View<S> {
    static final int PICKED = 1;
    static final int ALLOWED = 2;

    final Activity activity;
    final View view;
    private final Screen<S> shown;

    Page(Activity activity, int layout, ViewGroup parent, Screen<S> shown) {
        this.activity = activity;
        this.shown = shown;
        view = activity.getLayoutInflater().inflate(layout, parent, false);
    }

    /** It is seen from now on. */
    void start() {
        shown.attach(this);
    }

    /** It is no longer seen. */
    void stop() {
        shown.detach(this);
    }

    /** The user has picked something in another app. */
    void picked(Uri uri) {}

    /** The user has answered what the app may do. */
    void allowed(boolean isAllowed) {}

    final <V extends View> V find(int id) {
        return view.findViewById(id);
    }

    final TextView text(int id) {
        return find(id);
    }

    final void onClick(int id, Runnable action) {
        find(id).setOnClickListener(clicked -> action.run());
    }

    /** Give other apps a file, if there is one. */
    final void onShare(Supplier<File> file) {
        onClick(R.id.share, () -> {
            if (file.get() != null) {
                SharedFiles.share(activity, file.get());
            }
        });
    }

    /** What runs, and how far it is: it can be cancelled, and the screen stays on. */
    final void showRun(RunScreen.State state) {
        find(R.id.cancel).setEnabled(state.running);
        view.setKeepScreenOn(state.running);
        show(text(R.id.phase), state.phase);
        ProgressBar progress = find(R.id.progress);
        show(progress, state.running);
        progress.setProgress(state.percent);
        show(text(R.id.notice), state.notice);
    }

    /** A text, whose view takes no room where there is none. */
    static void show(TextView shown, String text) {
        if (!shown.getText().toString().equals(text)) {
            shown.setText(text);
        }
        shown.setVisibility(text.isEmpty() ? View.GONE : View.VISIBLE);
    }

    static void show(View shown, boolean wanted) {
        shown.setVisibility(wanted ? View.VISIBLE : View.GONE);
    }

    /** So many children of a layout in a parent: those that are there are used again. */
    final List<View> children(ViewGroup parent, int count, int layout) {
        while (parent.getChildCount() > count) {
            parent.removeViewAt(parent.getChildCount() - 1);
        }
        List<View> children = new ArrayList<>();
        for (int place = 0; place < count; place++) {
            if (place == parent.getChildCount()) {
                LayoutInflater.from(activity).inflate(layout, parent, true);
            }
            children.add(parent.getChildAt(place));
        }
        return children;
    }

    /** Let the user pick something. False where no app can do that. */
    final boolean pick(Intent intent) {
        try {
            activity.startActivityForResult(intent, PICKED);
            return true;
        } catch (ActivityNotFoundException none) {
            return false;
        }
    }
}
