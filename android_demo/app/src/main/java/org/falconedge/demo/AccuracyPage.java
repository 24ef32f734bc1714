package org.falconedge.demo;

import android.app.Activity;
import android.content.Intent;
import android.net.Uri;
import android.view.ViewGroup;
import java.io.File;
import org.falconedge.demo.screens.AccuracyScreen;
import org.falconedge.demo.screens.Folder;
import org.falconedge.demo.screens.Text;

/** layout/accuracy.xml. */
final class AccuracyPage extends Page<AccuracyScreen.State> {
    /** Where adb can put files on every phone, and apps can read them. */
    private static final File PUSHED = new File("/data/local/tmp/falcon-edge/images");

    private final AccuracyScreen screen;
    private final Pictures pictures;

    private final Choices choices;

    AccuracyPage(Activity activity, ViewGroup parent, AccuracyScreen screen) {
        super(activity, R.layout.accuracy, parent, screen);
        this.screen = screen;
        pictures = new Pictures(activity.getContentResolver(), App.of(activity).texts());
        choices = new Choices(
                find(R.id.choices), screen::chooseModel, screen::chooseRuntime, screen::chooseThreads);
        File images = App.of(activity).images();
        text(R.id.where).setText(activity.getString(R.string.pushed_where, images == null ? PUSHED : images));
        onClick(R.id.pushed, () -> screen.run(() -> Folder.images(
                file -> () -> pictures.image(Uri.fromFile(file)), images, PUSHED)));
        onClick(R.id.pick, () -> {
            if (!pick(new Intent(Intent.ACTION_OPEN_DOCUMENT_TREE))) {
                screen.complain(Text.NO_GALLERY);
            }
        });
        onClick(R.id.cancel, screen::cancel);
        onShare(screen::answers);
    }

    @Override
    void picked(Uri uri) {
        PickedFolder folder = new PickedFolder(activity.getContentResolver(), pictures, uri);
        screen.run(() -> Folder.images(folder));
    }

    @Override
    public void show(AccuracyScreen.State state) {
        choices.show(state.selection, !state.running);
        find(R.id.pushed).setEnabled(!state.running);
        find(R.id.pick).setEnabled(!state.running);
        showRun(state);
        show(text(R.id.result), state.result);
        show(find(R.id.share), screen.answers() != null && !state.running);
    }
}
