package org.falconedge.demo;

import android.app.Activity;
import android.net.Uri;
import android.view.ViewGroup;
import android.widget.ProgressBar;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import org.falconedge.demo.screens.AccuracyScreen;
import org.falconedge.demo.screens.Folder;
import org.falconedge.demo.screens.Screen;
import org.falconedge.demo.screens.Text;

/** layout/accuracy.xml. */
final class AccuracyPage extends Page implements Screen.View<AccuracyScreen.State> {
    /** Where adb can put files on every phone, and apps can read them. */
    private static final File PUSHED = new File("/data/local/tmp/falcon-edge/images");

    private final AccuracyScreen screen;
    private final Pictures pictures;

    private final Choices choices;

    AccuracyPage(Activity activity, ViewGroup parent, AccuracyScreen screen) {
        super(activity, R.layout.accuracy, parent);
        this.screen = screen;
        pictures = new Pictures(activity.getContentResolver(), App.of(activity).texts());
        choices = new Choices(
                find(R.id.choices), screen::chooseModel, screen::chooseRuntime, screen::chooseThreads);
        File images = App.of(activity).images();
        text(R.id.where).setText(activity.getString(R.string.pushed_where, images == null ? PUSHED : images));
        onClick(R.id.pushed, () -> screen.run(() -> Folder.images(
                file -> () -> pictures.image(Uri.fromFile(file)), images, PUSHED)));
        onClick(R.id.pick, () -> {
            if (!pick(true)) {
                screen.complain(Text.NO_GALLERY);
            }
        });
        onClick(R.id.cancel, screen::cancel);
        onClick(R.id.share, () -> {
            if (screen.answers() != null) {
                SharedFiles.share(activity, screen.answers());
            }
        });
    }

    @Override
    void start() {
        screen.attach(this);
    }

    @Override
    void stop() {
        screen.detach(this);
    }

    @Override
    void picked(List<Uri> uris) {
        List<AccuracyScreen.Named> images = new ArrayList<>();
        for (Uri uri : uris) {
            images.add(new AccuracyScreen.Named(String.valueOf(uri.getLastPathSegment()), () -> pictures.image(uri)));
        }
        screen.run(() -> images);
    }

    @Override
    public void show(AccuracyScreen.State state) {
        choices.show(state.selection, !state.running);
        find(R.id.pushed).setEnabled(!state.running);
        find(R.id.pick).setEnabled(!state.running);
        find(R.id.cancel).setEnabled(state.running);
        view.setKeepScreenOn(state.running);
        show(text(R.id.phase), state.phase);
        ProgressBar progress = find(R.id.progress);
        show(progress, state.running);
        progress.setProgress(state.percent);
        show(text(R.id.result), state.result);
        show(text(R.id.notice), state.notice);
        show(find(R.id.share), screen.answers() != null && !state.running);
    }
}
