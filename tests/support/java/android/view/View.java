package android.view;

import android.content.Context;
import android.content.res.Resources;
import android.graphics.Canvas;
import android.util.AttributeSet;

public class View {
    public interface OnClickListener {
        void onClick(View view);
    }

    public interface OnApplyWindowInsetsListener {
        WindowInsets onApplyWindowInsets(View view, WindowInsets insets);
    }

    public static final int VISIBLE = 0;
    public static final int GONE = 8;
    private final Context context;
    public ViewGroup parent;
    int id;
    private int visibility;
    private boolean enabled = true;
    private boolean keepScreenOn;
    private Object tag;
    private CharSequence description;
    private OnClickListener onClick;

    public View(Context context, AttributeSet attributes) {
        this.context = context;
    }

    public final Context getContext() {
        return context;
    }

    public final Resources getResources() {
        return context.getResources();
    }

    public final <T extends View> T findViewById(int wanted) {
        @SuppressWarnings("unchecked") // as Android does
        T found = (T) found(wanted);
        return found;
    }

    View found(int wanted) {
        return id == wanted ? this : null;
    }

    public int getId() {
        return id;
    }

    public void setVisibility(int wanted) {
        visibility = wanted;
    }

    /** Whether a user sees it: it, and all that it is in. */
    public boolean isShown() {
        return visibility == VISIBLE && (parent == null || parent.isShown());
    }

    public void setEnabled(boolean wanted) {
        enabled = wanted;
    }

    public boolean isEnabled() {
        return enabled;
    }

    public void setKeepScreenOn(boolean wanted) {
        keepScreenOn = wanted;
    }

    public boolean getKeepScreenOn() {
        return keepScreenOn;
    }

    public void setTag(Object given) {
        tag = given;
    }

    public Object getTag() {
        return tag;
    }

    public void setContentDescription(CharSequence text) {
        description = text;
    }

    public CharSequence getContentDescription() {
        return description;
    }

    public void setOnClickListener(OnClickListener listener) {
        onClick = listener;
    }

    /** A finger. */
    public boolean performClick() {
        if (!isShown() || !enabled) {
            throw new AssertionError("nobody can touch it");
        }
        onClick.onClick(this);
        return true;
    }

    public void setOnApplyWindowInsetsListener(OnApplyWindowInsetsListener listener) {
        listener.onApplyWindowInsets(this, new WindowInsets(null));
    }

    public void setPadding(int left, int top, int right, int bottom) {}

    public final int getWidth() {
        return 300;
    }

    public final int getHeight() {
        return 200;
    }

    public void invalidate() {
        onDraw(new Canvas());
    }

    protected void onDraw(Canvas canvas) {}
}
