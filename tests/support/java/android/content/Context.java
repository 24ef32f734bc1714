package android.content;

import android.Fake;
import android.content.pm.PackageManager;
import android.content.res.AssetManager;
import android.content.res.Resources;
import android.hardware.camera2.CameraManager;
import android.os.BatteryManager;
import android.os.Looper;
import android.os.PowerManager;
import java.io.File;
import java.util.HashMap;
import java.util.Map;

public abstract class Context {
    public Context getApplicationContext() {
        return Fake.application;
    }

    public Resources getResources() {
        return new Resources();
    }

    public String getPackageName() {
        return "org.falconedge.demo";
    }

    public final String getString(int id) {
        return getResources().getString(id);
    }

    public final String getString(int id, Object... values) {
        return getResources().getString(id, values);
    }

    public final int getColor(int id) {
        Fake.name("color", id);
        return id;
    }

    public SharedPreferences getSharedPreferences(String name, int mode) {
        Map<String, String> values = Fake.PREFERENCES.computeIfAbsent(name, each -> new HashMap<>());
        return new Preferences(values);
    }

    public Object getSystemService(String name) {
        return name.equals("camera") ? new CameraManager() : new PowerManager();
    }

    public Intent registerReceiver(BroadcastReceiver receiver, IntentFilter filter) {
        Intent battery = new Intent("battery");
        battery.putExtra(BatteryManager.EXTRA_LEVEL, 40).putExtra(BatteryManager.EXTRA_SCALE, 50);
        return battery.putExtra(BatteryManager.EXTRA_STATUS, BatteryManager.BATTERY_STATUS_CHARGING);
    }

    public AssetManager getAssets() {
        return new AssetManager();
    }

    public File getFilesDir() {
        return new File(Fake.storage, "files");
    }

    public File getCacheDir() {
        return new File(Fake.storage, "cache");
    }

    public File getDataDir() {
        return Fake.storage;
    }

    public File getExternalFilesDir(String type) {
        return new File(Fake.storage, "external/" + type);
    }

    public ContentResolver getContentResolver() {
        return new ContentResolver();
    }

    public PackageManager getPackageManager() {
        return new PackageManager();
    }

    public Looper getMainLooper() {
        return Looper.getMainLooper();
    }

    public int checkSelfPermission(String permission) {
        return Fake.allowed ? PackageManager.PERMISSION_GRANTED : PackageManager.PERMISSION_DENIED;
    }

    public void startActivity(Intent intent) {
        Fake.STARTED.add(intent);
    }
}
