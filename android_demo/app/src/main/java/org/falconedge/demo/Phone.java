package org.falconedge.demo;

import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.os.BatteryManager;
import android.os.Build;
import android.os.Debug;
import android.os.PowerManager;
import org.falconedge.core.Platform;
import org.falconedge.core.SystemPlatform;
import org.falconedge.demo.screens.Device;

/** This phone, as far as Android tells of it. */
final class Phone implements Device {
    private static final int KILOBYTE = 1024;
    private static final long NOT_BEFORE = 1_000_000_000;

    private final Context context;
    private final Platform platform = new SystemPlatform();
    private Long askedAt;
    private Double headroom;

    Phone(Context context) {
        this.context = context;
    }

    @Override
    public Platform platform() {
        return platform;
    }

    @Override
    public String name() {
        return "phone:" + Build.MODEL;
    }

    @Override
    public int cores() {
        return Runtime.getRuntime().availableProcessors();
    }

    @Override
    public String battery() {
        Intent battery = context.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
        if (battery == null) {
            return null;
        }
        int level = battery.getIntExtra(BatteryManager.EXTRA_LEVEL, -1);
        int scale = battery.getIntExtra(BatteryManager.EXTRA_SCALE, -1);
        if (level < 0 || scale <= 0) {
            return null;
        }
        return 100 * level / scale + "%, " + status(battery.getIntExtra(BatteryManager.EXTRA_STATUS, -1));
    }

    private static String status(int status) {
        switch (status) {
            case BatteryManager.BATTERY_STATUS_CHARGING:
                return "charging";
            case BatteryManager.BATTERY_STATUS_DISCHARGING:
                return "discharging";
            case BatteryManager.BATTERY_STATUS_NOT_CHARGING:
                return "not charging";
            case BatteryManager.BATTERY_STATUS_FULL:
                return "full";
            default:
                return "status unknown";
        }
    }

    @Override
    public Integer thermalStatus() {
        return Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q ? power().getCurrentThermalStatus() : null;
    }

    /** Android answers once in half a second; whoever asks sooner gets the answer of before. */
    @Override
    public synchronized Double thermalHeadroom() {
        long now = System.nanoTime();
        if (askedAt == null || now - askedAt > NOT_BEFORE) {
            askedAt = now;
            headroom = headroom();
        }
        return headroom;
    }

    /** Since API 30, and this is compiled against 29. */
    private Double headroom() {
        try {
            Object found = PowerManager.class.getMethod("getThermalHeadroom", int.class).invoke(power(), 0);
            double share = ((Float) found).doubleValue();
            return Double.isNaN(share) || Double.isInfinite(share) ? null : share;
        } catch (ReflectiveOperationException | RuntimeException absent) {
            return null;
        }
    }

    private PowerManager power() {
        return (PowerManager) context.getSystemService(Context.POWER_SERVICE);
    }

    @Override
    public Long pss() {
        long kilobytes = Debug.getPss();
        return kilobytes > 0 ? Long.valueOf(kilobytes * KILOBYTE) : null;
    }

    @Override
    public long now() {
        return System.currentTimeMillis();
    }
}
