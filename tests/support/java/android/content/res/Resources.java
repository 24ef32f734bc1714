package android.content.res;

import android.Fake;
import android.util.DisplayMetrics;
import android.view.Documents;
import java.util.Locale;

public class Resources {
    public int getIdentifier(String name, String kind, String app) {
        return Fake.id(kind, name);
    }

    public String getString(int id) {
        return Documents.string(Fake.name("string", id));
    }

    public String getString(int id, Object... values) {
        return String.format(Locale.ROOT, getString(id), values);
    }

    public DisplayMetrics getDisplayMetrics() {
        return new DisplayMetrics();
    }
}
