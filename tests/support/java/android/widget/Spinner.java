package android.widget;

import android.Fake;
import android.content.Context;
import android.util.AttributeSet;

/** As Android's, it tells of what is selected later, on the main thread, and of the first item, too. */
public class Spinner extends AdapterView<SpinnerAdapter> {
    private SpinnerAdapter adapter;
    private int selected = -1;
    private int told = -1;

    public Spinner(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public SpinnerAdapter getAdapter() {
        return adapter;
    }

    public void setAdapter(SpinnerAdapter given) {
        adapter = given;
        told = -1;
        setSelection(given.getCount() == 0 ? -1 : 0);
    }

    public int getCount() {
        return adapter == null ? 0 : adapter.getCount();
    }

    public Object getItemAtPosition(int place) {
        return adapter.getItem(place);
    }

    public int getSelectedItemPosition() {
        return selected;
    }

    public void setSelection(int place) {
        selected = place;
        Fake.post(() -> {
            if (selected != told && selected >= 0 && onSelect != null) {
                told = selected;
                onSelect.onItemSelected(this, null, selected, selected);
            }
        });
    }
}
