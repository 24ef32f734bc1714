package android.view;

import android.Fake;

public class Display {
    public int getRotation() {
        return Fake.landscape ? Surface.ROTATION_90 : Surface.ROTATION_0;
    }
}
