package android.hardware.camera2;

import android.Fake;
import android.os.Handler;
import android.view.Surface;
import java.util.List;

public class CameraDevice {
    public abstract static class StateCallback {
        public abstract void onOpened(CameraDevice opened);

        public abstract void onDisconnected(CameraDevice gone);

        public abstract void onError(CameraDevice broken, int code);
    }

    public static final int TEMPLATE_PREVIEW = 1;

    /** Those that nobody has closed. */
    public static int open;

    private final StateCallback callback;
    private boolean isOpen = true;

    public CameraDevice(StateCallback callback) {
        this.callback = callback;
        open++;
        Fake.unplug = () -> callback.onDisconnected(this);
    }

    public CaptureRequest.Builder createCaptureRequest(int template) {
        return new CaptureRequest.Builder();
    }

    public void createCaptureSession(
            List<Surface> surfaces, CameraCaptureSession.StateCallback configured, Handler handler) {
        Fake.post(() -> configured.onConfigured(new CameraCaptureSession()));
    }

    public void close() {
        open -= isOpen ? 1 : 0;
        isOpen = false;
    }
}
