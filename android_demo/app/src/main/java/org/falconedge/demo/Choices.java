package org.falconedge.demo;

import android.view.View;
import android.widget.AdapterView;
import android.widget.ArrayAdapter;
import android.widget.Spinner;
import java.util.ArrayList;
import java.util.List;
import org.falconedge.demo.screens.Selection;

/** The three lists of layout/choices.xml: model, runtime, threads. */
final class Choices {
    /** Told of the place in a list that the user has chosen. */
    interface Chosen {
        void at(int place);
    }

    private final Spinner model;
    private final Spinner runtime;
    private final Spinner threads;

    Choices(View parent, Chosen onModel, Chosen onRuntime, Chosen onThreads) {
        model = parent.findViewById(R.id.model);
        runtime = parent.findViewById(R.id.runtime);
        threads = parent.findViewById(R.id.threads);
        listen(model, onModel);
        listen(runtime, onRuntime);
        listen(threads, onThreads);
    }

    /** Show what there is to choose from, and what is chosen. */
    void show(Selection selection, boolean enabled) {
        show(model, selection.models(), selection.model(), enabled);
        show(runtime, selection.runtimes(), selection.runtime(), enabled);
        show(threads, selection.threadCounts(), selection.threads(), enabled);
    }

    static void listen(Spinner spinner, Chosen chosen) {
        spinner.setOnItemSelectedListener(new AdapterView.OnItemSelectedListener() {
            @Override
            public void onItemSelected(AdapterView<?> parent, View item, int place, long id) {
                chosen.at(place);
            }

            @Override
            public void onNothingSelected(AdapterView<?> parent) {}
        });
    }

    private static void show(Spinner spinner, List<String> titles, int place, boolean enabled) {
        List<String> before = new ArrayList<>();
        for (int each = 0; each < spinner.getCount(); each++) {
            before.add(String.valueOf(spinner.getItemAtPosition(each)));
        }
        if (spinner.getAdapter() == null || !before.equals(titles)) {
            ArrayAdapter<String> adapter =
                    new ArrayAdapter<>(spinner.getContext(), android.R.layout.simple_spinner_item, titles);
            adapter.setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item);
            spinner.setAdapter(adapter);
        }
        spinner.setEnabled(enabled);
        if (place < titles.size() && spinner.getSelectedItemPosition() != place) {
            spinner.setSelection(place);
        }
    }
}
