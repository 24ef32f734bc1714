package android.widget;

import android.content.Context;
import android.util.AttributeSet;
import android.view.View;

public class ScrollView extends FrameLayout {
    public ScrollView(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    @Override
    public void addView(View child) {
        if (getChildCount() > 0) {
            throw new IllegalStateException("ScrollView can host only one direct child");
        }
        super.addView(child);
    }
}
