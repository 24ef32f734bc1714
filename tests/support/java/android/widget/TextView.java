package android.widget;

import android.content.Context;
import android.text.TextWatcher;
import android.util.AttributeSet;
import android.view.View;

public class TextView extends View {
    private CharSequence text = "";
    TextWatcher watcher;

    public TextView(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public final void setText(CharSequence given) {
        text = given == null ? "" : given;
        if (watcher != null) {
            watcher.afterTextChanged(((EditText) this).getText());
        }
    }

    public final void setText(int id) {
        setText(getContext().getString(id));
    }

    public CharSequence getText() {
        return text;
    }

    public void setTextColor(int colour) {}

    public void addTextChangedListener(TextWatcher listener) {
        watcher = listener;
    }
}
