package org.falconedge.demo;

import android.app.Activity;
import android.content.Context;
import android.graphics.ImageFormat;
import android.graphics.Matrix;
import android.graphics.RectF;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.os.HandlerThread;
import android.util.Size;
import android.view.Surface;
import android.view.TextureView;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import org.falconedge.core.Pixels;
import org.falconedge.demo.screens.ClassifyScreen;
import org.falconedge.demo.screens.Frames;
import org.falconedge.demo.screens.Text;

/** The camera: a preview on a view, and frames for the screen. */
final class CameraFeed implements TextureView.SurfaceTextureListener {
    private static final int USUAL_PIXELS = 1280 * 960;
    private static final int IMAGES = 2;

    private final Activity activity;
    private final TextureView preview;
    private final ClassifyScreen screen;
    private final AtomicBoolean isWaiting = new AtomicBoolean();
    private HandlerThread thread;
    private Handler handler;
    private CameraDevice device;
    private ImageReader reader;
    private Size size;
    private int sensor;
    private boolean front;

    CameraFeed(Activity activity, TextureView preview, ClassifyScreen screen) {
        this.activity = activity;
        this.preview = preview;
        this.screen = screen;
    }

    boolean isOn() {
        return thread != null;
    }

    /** Switch it on, as soon as its view is there. */
    void start() {
        if (isOn()) {
            return;
        }
        thread = new HandlerThread("camera");
        thread.start();
        handler = new Handler(thread.getLooper());
        isWaiting.set(false);
        preview.setSurfaceTextureListener(this);
        if (preview.isAvailable()) {
            open();
        }
    }

    /** Switch it off. */
    void stop() {
        if (!isOn()) {
            return;
        }
        preview.setSurfaceTextureListener(null);
        if (device != null) {
            device.close();
            device = null;
        }
        if (reader != null) {
            ImageReader closed = reader;
            reader = null;
            handler.post(closed::close); // not while a frame is read
        }
        thread.quitSafely();
        thread = null;
    }

    private void open() {
        CameraManager manager = (CameraManager) activity.getSystemService(Context.CAMERA_SERVICE);
        try {
            String camera = choose(manager);
            if (camera == null) {
                screen.complain(Text.NO_CAMERA);
                return;
            }
            manager.openCamera(camera, new Opened(thread), new Handler(activity.getMainLooper()));
        } catch (CameraAccessException | IllegalArgumentException | SecurityException error) {
            fail(error.getMessage());
        }
    }

    /** The camera on the back, or else the first. */
    private String choose(CameraManager manager) throws CameraAccessException {
        String chosen = null;
        for (String camera : manager.getCameraIdList()) {
            CameraCharacteristics facts = manager.getCameraCharacteristics(camera);
            StreamConfigurationMap sizes = facts.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
            Integer facing = facts.get(CameraCharacteristics.LENS_FACING);
            Integer turned = facts.get(CameraCharacteristics.SENSOR_ORIENTATION);
            Size found = sizes == null ? null : size(sizes);
            boolean isBack = facing != null && facing == CameraCharacteristics.LENS_FACING_BACK;
            if (found != null && (chosen == null || isBack)) {
                chosen = camera;
                size = found;
                sensor = turned == null ? 0 : turned;
                front = facing != null && facing == CameraCharacteristics.LENS_FACING_FRONT;
                if (isBack) {
                    break;
                }
            }
        }
        return chosen;
    }

    /** The size nearest to the usual one that both the preview and the frames can have. */
    private static Size size(StreamConfigurationMap sizes) {
        Size[] shown = sizes.getOutputSizes(SurfaceTexture.class);
        Size[] read = sizes.getOutputSizes(ImageFormat.YUV_420_888);
        Size best = null;
        for (Size each : read == null || shown == null ? new Size[0] : read) {
            if (Arrays.asList(shown).contains(each) && (best == null || distance(each) < distance(best))) {
                best = each;
            }
        }
        return best;
    }

    private static int distance(Size size) {
        return Math.abs(size.getWidth() * size.getHeight() - USUAL_PIXELS);
    }

    private void fail(String why) {
        screen.complain(Text.CAMERA_FAILED, String.valueOf(why));
    }

    /** What becomes of a camera that was asked for; it is told on the screen's thread. */
    private final class Opened extends CameraDevice.StateCallback {
        private final HandlerThread wanted;

        Opened(HandlerThread wanted) {
            this.wanted = wanted;
        }

        @Override
        public void onOpened(CameraDevice opened) {
            if (wanted != thread) { // it is no longer wanted
                opened.close();
                return;
            }
            device = opened;
            try {
                run(opened);
            } catch (CameraAccessException | IllegalArgumentException | IllegalStateException error) {
                fail(error.getMessage());
            }
        }

        @Override
        public void onDisconnected(CameraDevice gone) {
            onError(gone, 0);
        }

        @Override
        public void onError(CameraDevice broken, int code) {
            broken.close();
            if (wanted == thread) {
                device = null;
                fail(String.valueOf(code));
            }
        }
    }

    private void run(CameraDevice opened) throws CameraAccessException {
        SurfaceTexture texture = preview.getSurfaceTexture();
        if (texture == null) {
            return;
        }
        texture.setDefaultBufferSize(size.getWidth(), size.getHeight());
        turn();
        Surface shown = new Surface(texture);
        reader = ImageReader.newInstance(size.getWidth(), size.getHeight(), ImageFormat.YUV_420_888, IMAGES);
        reader.setOnImageAvailableListener(this::read, handler);
        Surface frames = reader.getSurface();
        CaptureRequest.Builder request = opened.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
        request.addTarget(shown);
        request.addTarget(frames);
        request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE);
        opened.createCaptureSession(
                Arrays.asList(shown, frames),
                new CameraCaptureSession.StateCallback() {
                    @Override
                    public void onConfigured(CameraCaptureSession session) {
                        try {
                            session.setRepeatingRequest(request.build(), null, null);
                        } catch (CameraAccessException | IllegalStateException error) {
                            if (device == opened) {
                                fail(error.getMessage());
                            }
                        }
                    }

                    @Override
                    public void onConfigureFailed(CameraCaptureSession session) {
                        fail(size.toString());
                    }
                },
                new Handler(activity.getMainLooper()));
    }

    /** Hand a frame to the screen, one at a time; on the camera's thread. */
    private void read(ImageReader from) {
        try (Image image = from.acquireLatestImage()) {
            if (image == null || !isWaiting.compareAndSet(false, true)) {
                return;
            }
            int width = image.getWidth();
            int height = image.getHeight();
            Image.Plane[] planes = image.getPlanes();
            Frames.Plane y = copy(planes[0]);
            Frames.Plane u = copy(planes[1]);
            Frames.Plane v = copy(planes[2]);
            activity.runOnUiThread(() -> {
                isWaiting.set(false);
                int orientation = Frames.orientation(sensor, degrees(), front);
                screen.frame(() -> Pixels.upright(Frames.rgb(width, height, y, u, v), orientation));
            });
        } catch (IllegalStateException closed) {
            isWaiting.set(false); // the reader is gone, and with it the camera
        }
    }

    /** A plane of its own: the camera takes its memory back. */
    private static Frames.Plane copy(Image.Plane plane) {
        ByteBuffer bytes = plane.getBuffer();
        ByteBuffer copy = ByteBuffer.allocate(bytes.remaining());
        copy.put(bytes);
        return new Frames.Plane(copy, plane.getRowStride(), plane.getPixelStride());
    }

    /** How far the screen is turned against its natural position. */
    private int degrees() {
        switch (activity.getWindowManager().getDefaultDisplay().getRotation()) {
            case Surface.ROTATION_90:
                return 90;
            case Surface.ROTATION_180:
                return 180;
            case Surface.ROTATION_270:
                return 270;
            default:
                return 0;
        }
    }

    /** Show the preview upright and in its proportions: the view would stretch it to its own. */
    private void turn() {
        if (size == null || preview.getWidth() == 0 || preview.getHeight() == 0) {
            return;
        }
        boolean isTall = sensor % 180 != 0;
        float width = isTall ? size.getHeight() : size.getWidth();
        float height = isTall ? size.getWidth() : size.getHeight();
        float x = preview.getWidth() / 2f;
        float y = preview.getHeight() / 2f;
        int degrees = degrees();
        boolean isTurned = degrees % 180 != 0;
        float scale = Math.min(
                preview.getWidth() / (isTurned ? height : width), preview.getHeight() / (isTurned ? width : height));
        Matrix matrix = new Matrix();
        matrix.setRectToRect(
                new RectF(0, 0, preview.getWidth(), preview.getHeight()),
                new RectF(x - width / 2, y - height / 2, x + width / 2, y + height / 2),
                Matrix.ScaleToFit.FILL);
        matrix.postScale(scale, scale, x, y);
        matrix.postRotate(-degrees, x, y);
        preview.setTransform(matrix);
    }

    @Override
    public void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height) {
        open();
    }

    @Override
    public void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height) {
        turn();
    }

    @Override
    public boolean onSurfaceTextureDestroyed(SurfaceTexture texture) {
        return true;
    }

    @Override
    public void onSurfaceTextureUpdated(SurfaceTexture texture) {}
}
