package android.view;

import android.Fake;
import android.content.Context;
import android.graphics.Matrix;
import android.graphics.SurfaceTexture;
import android.util.AttributeSet;

public class TextureView extends View {
    public interface SurfaceTextureListener {
        void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height);

        void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height);

        boolean onSurfaceTextureDestroyed(SurfaceTexture texture);

        void onSurfaceTextureUpdated(SurfaceTexture texture);
    }

    private boolean isAvailable;

    public TextureView(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public void setSurfaceTextureListener(SurfaceTextureListener listener) {
        if (listener != null && !isAvailable) {
            Fake.post(() -> {
                isAvailable = true;
                listener.onSurfaceTextureAvailable(getSurfaceTexture(), getWidth(), getHeight());
                listener.onSurfaceTextureSizeChanged(getSurfaceTexture(), getWidth(), getHeight());
            });
        }
    }

    public boolean isAvailable() {
        return isAvailable;
    }

    public SurfaceTexture getSurfaceTexture() {
        return new SurfaceTexture();
    }

    public void setTransform(Matrix matrix) {}
}
