package android.media;

import android.os.Handler;
import android.view.Surface;

public class ImageReader {
    public interface OnImageAvailableListener {
        void onImageAvailable(ImageReader reader);
    }

    private static ImageReader last;
    private OnImageAvailableListener listener;
    private Image image;
    private boolean isClosed;

    public static ImageReader newInstance(int width, int height, int format, int most) {
        last = new ImageReader();
        return last;
    }

    /** A frame comes, of these grey pixels, as many rows as columns. */
    public static void see(int... pixels) {
        last.image = new Image(pixels);
        last.listener.onImageAvailable(last);
    }

    public Surface getSurface() {
        return new Surface(null);
    }

    public void setOnImageAvailableListener(OnImageAvailableListener told, Handler handler) {
        listener = told;
    }

    public Image acquireLatestImage() {
        if (isClosed) {
            throw new IllegalStateException("closed");
        }
        Image latest = image;
        image = null;
        return latest;
    }

    public void close() {
        isClosed = true;
    }
}
