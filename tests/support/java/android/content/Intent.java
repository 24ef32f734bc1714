package android.content;

import android.net.Uri;
import android.os.Bundle;
import android.os.Parcelable;

public class Intent implements Parcelable {
    public final String action;
    public String type;
    private final Bundle extras = new Bundle();
    private ClipData clip;
    private Uri data;

    public Intent(String action) {
        this.action = action;
    }

    public Intent setType(String wanted) {
        type = wanted;
        return this;
    }

    public Intent addCategory(String category) {
        return this;
    }

    public Intent addFlags(int flags) {
        return this;
    }

    public Intent setData(Uri uri) {
        data = uri;
        return this;
    }

    public Uri getData() {
        return data;
    }

    public void setClipData(ClipData given) {
        clip = given;
    }

    public Intent putExtra(String name, boolean value) {
        extras.values.put(name, value);
        return this;
    }

    public Intent putExtra(String name, int value) {
        extras.values.put(name, value);
        return this;
    }

    public Intent putExtra(String name, String value) {
        extras.values.put(name, value);
        return this;
    }

    public Intent putExtra(String name, Parcelable value) {
        extras.values.put(name, value);
        return this;
    }

    public int getIntExtra(String name, int otherwise) {
        Object value = extras.values.get(name);
        return value instanceof Integer ? (Integer) value : otherwise;
    }

    public Bundle getExtras() {
        return extras.values.isEmpty() ? null : extras;
    }

    public static Intent createChooser(Intent target, CharSequence title) {
        return new Intent("chooser").putExtra("target", target);
    }
}
