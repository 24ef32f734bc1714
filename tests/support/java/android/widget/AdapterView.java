package android.widget;

import android.content.Context;
import android.util.AttributeSet;
import android.view.View;
import android.view.ViewGroup;

public abstract class AdapterView<T> extends ViewGroup {
    public interface OnItemSelectedListener {
        void onItemSelected(AdapterView<?> parent, View item, int place, long id);

        void onNothingSelected(AdapterView<?> parent);
    }

    OnItemSelectedListener onSelect;

    public AdapterView(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public void setOnItemSelectedListener(OnItemSelectedListener listener) {
        onSelect = listener;
    }
}
