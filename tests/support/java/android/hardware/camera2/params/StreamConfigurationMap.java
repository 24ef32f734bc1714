package android.hardware.camera2.params;

import android.util.Size;

public final class StreamConfigurationMap {
    public Size[] getOutputSizes(int format) {
        return new Size[] {new Size(4000, 3000), new Size(1280, 960), new Size(176, 144)};
    }

    public <T> Size[] getOutputSizes(Class<T> type) {
        return new Size[] {new Size(1920, 1080), new Size(1280, 960), new Size(176, 144)};
    }
}
