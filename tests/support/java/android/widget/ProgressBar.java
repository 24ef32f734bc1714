package android.widget;

import android.content.Context;
import android.util.AttributeSet;
import android.view.View;

public class ProgressBar extends View {
    private int max = 100;
    private int progress;

    public ProgressBar(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public void setMax(int most) {
        max = most;
    }

    public void setProgress(int now) {
        if (now < 0 || now > max) {
            throw new AssertionError(now + " of " + max);
        }
        progress = now;
    }

    public int getProgress() {
        return progress;
    }
}
