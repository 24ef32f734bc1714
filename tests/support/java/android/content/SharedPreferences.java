package android.content;

public interface SharedPreferences {
    interface Editor {
        Editor putString(String name, String value);

        void apply();
    }

    String getString(String name, String otherwise);

    Editor edit();
}
