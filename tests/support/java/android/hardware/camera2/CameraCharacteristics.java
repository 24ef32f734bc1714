package android.hardware.camera2;

import android.hardware.camera2.params.StreamConfigurationMap;

/** Of a camera on the back, whose sensor lies as in most phones. */
public final class CameraCharacteristics {
    public static final class Key<T> {
        private final T value;

        Key(T value) {
            this.value = value;
        }
    }

    public static final int LENS_FACING_FRONT = 0;
    public static final int LENS_FACING_BACK = 1;
    public static final Key<Integer> LENS_FACING = new Key<>(LENS_FACING_BACK);
    public static final Key<Integer> SENSOR_ORIENTATION = new Key<>(90);
    public static final Key<StreamConfigurationMap> SCALER_STREAM_CONFIGURATION_MAP =
            new Key<>(new StreamConfigurationMap());

    public <T> T get(Key<T> key) {
        return key.value;
    }
}
