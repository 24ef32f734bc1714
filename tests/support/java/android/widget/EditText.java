package android.widget;

import android.content.Context;
import android.text.Editable;
import android.util.AttributeSet;

public class EditText extends TextView {
    private static final class Text implements Editable {
        private final String text;

        Text(String text) {
            this.text = text;
        }

        @Override
        public int length() {
            return text.length();
        }

        @Override
        public char charAt(int place) {
            return text.charAt(place);
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return text.subSequence(start, end);
        }

        @Override
        public String toString() {
            return text;
        }
    }

    public boolean focus;

    public EditText(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    @Override
    public Editable getText() {
        return new Text(super.getText().toString());
    }

    public boolean hasFocus() {
        return focus;
    }
}
