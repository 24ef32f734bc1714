package android.hardware.camera2;

import android.os.Handler;

public class CameraCaptureSession {
    public abstract static class StateCallback {
        public abstract void onConfigured(CameraCaptureSession session);

        public abstract void onConfigureFailed(CameraCaptureSession session);
    }

    public abstract static class CaptureCallback {}

    public int setRepeatingRequest(CaptureRequest request, CaptureCallback callback, Handler handler) {
        return 0;
    }
}
