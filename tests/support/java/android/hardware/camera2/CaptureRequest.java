package android.hardware.camera2;

import android.view.Surface;

public final class CaptureRequest {
    public static final class Key<T> {}

    public static final Key<Integer> CONTROL_AF_MODE = new Key<>();
    public static final int CONTROL_AF_MODE_CONTINUOUS_PICTURE = 4;

    public static final class Builder {
        public void addTarget(Surface surface) {}

        public <T> void set(Key<T> key, T value) {}

        public CaptureRequest build() {
            return new CaptureRequest();
        }
    }
}
