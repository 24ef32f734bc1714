package android.content.pm;

import android.Fake;

public class PackageManager {
    public static final int PERMISSION_GRANTED = 0;
    public static final int PERMISSION_DENIED = -1;

    public boolean hasSystemFeature(String name) {
        return Fake.camera;
    }
}
