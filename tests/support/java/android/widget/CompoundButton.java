package android.widget;

import android.content.Context;
import android.util.AttributeSet;

public abstract class CompoundButton extends Button {
    public interface OnCheckedChangeListener {
        void onCheckedChanged(CompoundButton button, boolean checked);
    }

    private OnCheckedChangeListener onChange;
    private boolean checked;

    public CompoundButton(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public void setOnCheckedChangeListener(OnCheckedChangeListener listener) {
        onChange = listener;
    }

    public void setChecked(boolean wanted) {
        if (wanted != checked) {
            checked = wanted;
            if (onChange != null) {
                onChange.onCheckedChanged(this, wanted);
            }
        }
    }

    public boolean isChecked() {
        return checked;
    }
}
