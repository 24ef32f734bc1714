package android.widget;

import android.content.Context;
import android.graphics.Bitmap;
import android.util.AttributeSet;
import android.view.View;

public class ImageView extends View {
    public Bitmap bitmap;

    public ImageView(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    public void setImageBitmap(Bitmap shown) {
        bitmap = shown;
    }
}
