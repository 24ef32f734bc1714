package org.falconedge.demo;

import android.app.Activity;
import android.text.Editable;
import android.text.TextWatcher;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.EditText;
import android.widget.Spinner;
import android.widget.Switch;
import android.widget.TextView;
import java.util.List;
import org.falconedge.demo.screens.BenchmarkScreen;

/** layout/benchmark.xml. */
final class BenchmarkPage extends Page<BenchmarkScreen.State> {
    private interface Typed {
        void text(String text);
    }

    private final BenchmarkScreen screen;
    private final Choices choices;

    BenchmarkPage(Activity activity, ViewGroup parent, BenchmarkScreen screen) {
        super(activity, R.layout.benchmark, parent, screen);
        this.screen = screen;
        choices = new Choices(
                find(R.id.choices), screen::chooseModel, screen::chooseRuntime, screen::chooseThreads);
        Spinner mode = find(R.id.mode);
        Choices.listen(mode, place -> screen.mode(BenchmarkScreen.Mode.values()[place]));
        Switch cool = find(R.id.wait_until_cool);
        cool.setOnCheckedChangeListener((button, checked) -> screen.waitUntilCool(checked));
        typed(R.id.runs, screen::runs);
        typed(R.id.minutes, screen::minutes);
        onClick(R.id.run, screen::run);
        onClick(R.id.cancel, screen::cancel);
        onClick(R.id.export, screen::export);
        onShare(screen::shown);
    }

    private void typed(int id, Typed typed) {
        EditText field = find(id);
        field.addTextChangedListener(new TextWatcher() {
            @Override
            public void beforeTextChanged(CharSequence text, int start, int count, int after) {}

            @Override
            public void onTextChanged(CharSequence text, int start, int before, int count) {}

            @Override
            public void afterTextChanged(Editable text) {
                typed.text(text.toString());
            }
        });
    }

    @Override
    public void show(BenchmarkScreen.State state) {
        choices.show(state.selection, !state.running);
        Spinner mode = find(R.id.mode);
        mode.setEnabled(!state.running);
        if (mode.getSelectedItemPosition() != state.mode.ordinal()) {
            mode.setSelection(state.mode.ordinal());
        }
        field(R.id.runs, state.runs, !state.running && state.mode != BenchmarkScreen.Mode.SUSTAINED);
        field(R.id.minutes, state.minutes, !state.running && state.mode == BenchmarkScreen.Mode.SUSTAINED);
        Switch cool = find(R.id.wait_until_cool);
        cool.setChecked(state.waitUntilCool);
        cool.setEnabled(!state.running);
        find(R.id.run).setEnabled(!state.running);
        showRun(state);
        show(text(R.id.title), state.title);
        rows(state.rows);
        ChartView chart = find(R.id.chart);
        chart.show(state.seconds, state.milliseconds, state.chart);
        show(find(R.id.shown_actions), screen.shown() != null && !state.running);
        show(find(R.id.history_title), !state.history.isEmpty());
        history(state.history, !state.running);
    }

    /** A number, unless the user is typing it. */
    private void field(int id, int number, boolean enabled) {
        EditText field = find(id);
        field.setEnabled(enabled);
        if (!field.hasFocus() && !field.getText().toString().equals(String.valueOf(number))) {
            field.setText(String.valueOf(number));
        }
    }

    private void rows(List<BenchmarkScreen.Row> rows) {
        List<View> views = children(find(R.id.rows), rows.size(), R.layout.figure);
        for (int place = 0; place < rows.size(); place++) {
            BenchmarkScreen.Row row = rows.get(place);
            View view = views.get(place);
            ((TextView) view.findViewById(R.id.name)).setText(row.name);
            ((TextView) view.findViewById(R.id.value)).setText(row.value);
            ((TextView) view.findViewById(R.id.difference)).setText(row.difference);
            view.setContentDescription(row.difference.isEmpty()
                    ? activity.getString(R.string.figure, row.name, row.value)
                    : activity.getString(R.string.figure_compared, row.name, row.value, row.difference));
        }
    }

    private void history(List<BenchmarkScreen.Past> history, boolean enabled) {
        List<View> views = children(find(R.id.history), history.size(), R.layout.past);
        for (int place = 0; place < history.size(); place++) {
            BenchmarkScreen.Past past = history.get(place);
            View view = views.get(place);
            ((TextView) view.findViewById(R.id.title)).setText(past.title);
            ((TextView) view.findViewById(R.id.text)).setText(past.text);
            button(view, R.id.show, R.string.show, past, enabled && !past.isShown, () -> screen.show(past.id));
            int baseline = past.isBaseline ? R.string.not_baseline : R.string.baseline;
            button(view, R.id.baseline, baseline, past, enabled, () -> screen.baseline(past.id));
            button(view, R.id.delete, R.string.delete, past, enabled, () -> screen.remove(past.id));
        }
    }

    /** A button of a run of before, which says which one it is of where it is read out. */
    private void button(
            View parent, int id, int text, BenchmarkScreen.Past past, boolean enabled, Runnable action) {
        Button button = parent.findViewById(id);
        button.setText(text);
        button.setContentDescription(activity.getString(R.string.row_actions, activity.getString(text), past.title));
        button.setEnabled(enabled);
        button.setOnClickListener(clicked -> action.run());
    }
}
