package org.falconedge.demo;

import android.content.Context;
import android.content.SharedPreferences;
import org.falconedge.demo.screens.Settings;

/** Settings that outlive the process. */
final class AndroidSettings implements Settings {
    private final SharedPreferences preferences;

    AndroidSettings(Context context) {
        preferences = context.getSharedPreferences("settings", Context.MODE_PRIVATE);
    }

    @Override
    public String get(String name) {
        return preferences.getString(name, null);
    }

    @Override
    public void put(String name, String value) {
        preferences.edit().putString(name, value).apply();
    }
}
