package org.falconedge.demo;

import android.app.Activity;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import java.util.List;
import org.falconedge.demo.screens.SelfTestScreen;

/** layout/self_test.xml. */
final class SelfTestPage extends Page<SelfTestScreen.State> {
    private final SelfTestScreen screen;

    SelfTestPage(Activity activity, ViewGroup parent, SelfTestScreen screen) {
        super(activity, R.layout.self_test, parent, screen);
        this.screen = screen;
        onClick(R.id.run, screen::run);
        onClick(R.id.cancel, screen::cancel);
    }

    @Override
    public void show(SelfTestScreen.State state) {
        show(text(R.id.notice), state.notice);
        find(R.id.run).setEnabled(!state.running && !state.rows.isEmpty());
        find(R.id.cancel).setEnabled(state.running);
        List<View> views = children(find(R.id.rows), state.rows.size(), R.layout.test_row);
        for (int place = 0; place < views.size(); place++) {
            SelfTestScreen.Row row = state.rows.get(place);
            TextView text = views.get(place).findViewById(R.id.text);
            show((TextView) views.get(place).findViewById(R.id.title), row.title);
            show(text, row.text);
            text.setTextColor(activity.getColor(colour(row.stand)));
        }
    }

    private static int colour(SelfTestScreen.Stand stand) {
        switch (stand) {
            case PASSED:
                return R.color.good;
            case FAILED:
                return R.color.bad;
            default:
                return R.color.text_faint;
        }
    }
}
