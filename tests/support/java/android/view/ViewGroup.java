package android.view;

import android.content.Context;
import android.util.AttributeSet;
import java.util.ArrayList;
import java.util.List;

public class ViewGroup extends View {
    private final List<View> children = new ArrayList<>();

    public ViewGroup(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public void addView(View child) {
        if (child.parent != null) {
            throw new IllegalStateException("it has a parent already");
        }
        child.parent = this;
        children.add(child);
    }

    public void removeViewAt(int place) {
        children.remove(place).parent = null;
    }

    public void removeAllViews() {
        while (!children.isEmpty()) {
            removeViewAt(0);
        }
    }

    public View getChildAt(int place) {
        return children.get(place);
    }

    public int getChildCount() {
        return children.size();
    }

    @Override
    View found(int wanted) {
        View found = super.found(wanted);
        for (int place = 0; found == null && place < children.size(); place++) {
            found = children.get(place).found(wanted);
        }
        return found;
    }
}
