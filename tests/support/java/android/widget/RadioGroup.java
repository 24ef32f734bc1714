package android.widget;

import android.content.Context;
import android.util.AttributeSet;

public class RadioGroup extends LinearLayout {
    public interface OnCheckedChangeListener {
        void onCheckedChanged(RadioGroup group, int id);
    }

    private OnCheckedChangeListener onChange;
    private int checked = -1;

    public RadioGroup(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public void setOnCheckedChangeListener(OnCheckedChangeListener listener) {
        onChange = listener;
    }

    public void check(int id) {
        if (id == checked) {
            return;
        }
        checked = id;
        for (int place = 0; place < getChildCount(); place++) {
            RadioButton button = (RadioButton) getChildAt(place);
            button.setChecked(button.getId() == id);
        }
        if (onChange != null) {
            onChange.onCheckedChanged(this, id);
        }
    }

    public int getCheckedRadioButtonId() {
        return checked;
    }
}
