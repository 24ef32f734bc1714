package android.hardware.camera2;

import android.Fake;
import android.os.Handler;

public final class CameraManager {
    public String[] getCameraIdList() throws CameraAccessException {
        if (Fake.cameraFails != null) {
            throw new CameraAccessException(Fake.cameraFails);
        }
        return new String[] {"0"};
    }

    public CameraCharacteristics getCameraCharacteristics(String camera) {
        return new CameraCharacteristics();
    }

    public void openCamera(String camera, CameraDevice.StateCallback callback, Handler handler) {
        Fake.post(() -> callback.onOpened(new CameraDevice(callback)));
    }
}
