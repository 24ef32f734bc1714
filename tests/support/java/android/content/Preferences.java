package android.content;

import java.util.Map;

final class Preferences implements SharedPreferences, SharedPreferences.Editor {
    private final Map<String, String> values;

    Preferences(Map<String, String> values) {
        this.values = values;
    }

    @Override
    public synchronized String getString(String name, String otherwise) {
        String value = values.get(name);
        return value == null ? otherwise : value;
    }

    @Override
    public SharedPreferences.Editor edit() {
        return this;
    }

    @Override
    public synchronized SharedPreferences.Editor putString(String name, String value) {
        if (value == null) {
            values.remove(name);
        } else {
            values.put(name, value);
        }
        return this;
    }

    @Override
    public void apply() {}
}
