package org.falconedge.demo;

import android.Manifest;
import android.app.Activity;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.net.Uri;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.ImageView;
import android.widget.ProgressBar;
import android.widget.Switch;
import android.widget.TextView;
import java.util.List;
import org.falconedge.core.Image;
import org.falconedge.demo.screens.Answer;
import org.falconedge.demo.screens.ClassifyScreen;
import org.falconedge.demo.screens.Text;

/** layout/classify.xml. */
final class ClassifyPage extends Page<ClassifyScreen.State> {
    private final ClassifyScreen screen;
    private final Pictures pictures;
    private final Choices first;
    private final Choices second;
    private final CameraFeed camera;
    private Image drawn;

    ClassifyPage(Activity activity, ViewGroup parent, ClassifyScreen screen) {
        super(activity, R.layout.classify, parent, screen);
        this.screen = screen;
        pictures = new Pictures(activity.getContentResolver(), App.of(activity).texts());
        camera = new CameraFeed(activity, find(R.id.preview), screen);
        first = choices(R.id.first, false);
        second = choices(R.id.second, true);
        onClick(R.id.gallery, () -> {
            Intent image = new Intent(Intent.ACTION_GET_CONTENT).setType("image/*");
            if (!pick(image.addCategory(Intent.CATEGORY_OPENABLE))) {
                screen.complain(Text.NO_GALLERY);
            }
        });
        onClick(R.id.camera, this::camera);
        onClick(R.id.capture, screen::capture);
        Switch pair = find(R.id.side_by_side);
        pair.setOnCheckedChangeListener((button, checked) -> screen.sideBySide(checked));
    }

    private Choices choices(int id, boolean isSecond) {
        return new Choices(
                find(id),
                place -> screen.chooseModel(isSecond, place),
                place -> screen.chooseRuntime(isSecond, place),
                place -> screen.chooseThreads(isSecond, place));
    }

    @Override
    void stop() {
        super.stop();
        camera.stop();
    }

    @Override
    void picked(Uri uri) {
        screen.show(() -> pictures.image(uri));
    }

    /** Ask for the camera, if it may not be used yet; switch it off where it is on. */
    private void camera() {
        boolean isAllowed =
                activity.checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED;
        if (camera.isOn()) {
            screen.camera(false);
        } else if (!activity.getPackageManager().hasSystemFeature(PackageManager.FEATURE_CAMERA_ANY)) {
            screen.complain(Text.NO_CAMERA);
        } else if (isAllowed) {
            screen.camera(true);
        } else {
            activity.requestPermissions(new String[] {Manifest.permission.CAMERA}, ALLOWED);
        }
    }

    @Override
    void allowed(boolean isAllowed) {
        if (isAllowed) {
            screen.camera(true);
        } else {
            screen.complain(Text.CAMERA_REFUSED);
        }
    }

    @Override
    public void show(ClassifyScreen.State state) {
        if (state.camera) {
            camera.start();
        } else {
            camera.stop();
        }
        first.show(state.first, true);
        second.show(state.second, true);
        Switch pair = find(R.id.side_by_side);
        pair.setChecked(state.sideBySide);
        show(find(R.id.second), state.sideBySide);
        show(find(R.id.preview), state.camera);
        show(find(R.id.picture), !state.camera);
        show(find(R.id.camera_actions), state.camera);
        show(find(R.id.busy), state.busy && !state.live);
        view.setKeepScreenOn(state.camera);
        Button on = find(R.id.camera);
        on.setText(state.camera ? R.string.stop : R.string.camera);
        Button live = find(R.id.live);
        live.setText(state.live ? R.string.stop : R.string.live);
        boolean next = !state.live;
        live.setOnClickListener(clicked -> screen.live(next));
        show(text(R.id.notice), state.notice);
        show(text(R.id.speedup), state.speedup);
        show(text(R.id.self_test), state.selfTest);
        if (!state.camera) {
            picture(state.picture);
        }
        answers(state.answers);
    }

    private void picture(Image image) {
        if (image != drawn) {
            drawn = image;
            ImageView picture = find(R.id.picture);
            picture.setImageBitmap(image == null ? null : Pictures.bitmap(image));
            picture.setContentDescription(
                    activity.getString(image == null ? R.string.picture_none : R.string.picture_shown));
        }
    }

    private void answers(List<Answer> answers) {
        List<View> views = children(find(R.id.answers), answers.size(), R.layout.answer);
        for (int place = 0; place < answers.size(); place++) {
            Answer answer = answers.get(place);
            View view = views.get(place);
            if (view.getTag() == answer) {
                continue; // it is shown already
            }
            view.setTag(answer);
            show((TextView) view.findViewById(R.id.title), answer.title);
            show((TextView) view.findViewById(R.id.latency), answer.latency);
            show((TextView) view.findViewById(R.id.words), answer.words);
            ImageView map = view.findViewById(R.id.map);
            show(map, answer.picture != null);
            if (answer.picture != null) {
                map.setImageBitmap(Pictures.bitmap(answer.picture));
                map.setContentDescription(activity.getString(R.string.picture_map) + ": " + answer.words);
            }
            lines(view.findViewById(R.id.lines), answer.lines);
        }
    }

    private void lines(ViewGroup parent, List<Answer.Line> lines) {
        List<View> views = children(parent, lines.size(), R.layout.line);
        for (int place = 0; place < lines.size(); place++) {
            Answer.Line line = lines.get(place);
            View view = views.get(place);
            show((TextView) view.findViewById(R.id.label), line.label);
            show((TextView) view.findViewById(R.id.percent), line.text);
            ProgressBar share = view.findViewById(R.id.share);
            share.setProgress(line.percent);
        }
    }
}
