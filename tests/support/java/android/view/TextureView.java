package android.view;

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

    public TextureView(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public void setSurfaceTextureListener(SurfaceTextureListener listener) {}

    public boolean isAvailable() {
        return false;
    }

    public SurfaceTexture getSurfaceTexture() {
        return null;
    }

    public void setTransform(Matrix matrix) {}
}
