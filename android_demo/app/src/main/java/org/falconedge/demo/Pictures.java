package org.falconedge.demo;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.media.ExifInterface;
import android.net.Uri;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import org.falconedge.core.Image;
import org.falconedge.core.Message;
import org.falconedge.core.Pixels;
import org.falconedge.demo.screens.Display;
import org.falconedge.demo.screens.Text;
import org.falconedge.demo.screens.Texts;

/** Image files as images, upright, and images as bitmaps. */
final class Pictures {
    private static final long MOST_PIXELS = 100_000_000;

    private final ContentResolver resolver;
    private final Texts texts;

    Pictures(ContentResolver resolver, Texts texts) {
        this.resolver = resolver;
        this.texts = texts;
    }

    /** Decode a file, without its alpha and without its colour profile (docs/formats.md, Image files). */
    Image image(Uri uri) throws Message {
        try {
            BitmapFactory.Options bounds = new BitmapFactory.Options();
            bounds.inJustDecodeBounds = true;
            try (InputStream stream = open(uri)) {
                BitmapFactory.decodeStream(stream, null, bounds);
            }
            if ((long) bounds.outWidth * bounds.outHeight > MOST_PIXELS) {
                throw new Message(texts.of(Text.PICTURE_TOO_LARGE, bounds.outWidth, bounds.outHeight));
            }
            BitmapFactory.Options options = new BitmapFactory.Options();
            options.inPreferredConfig = Bitmap.Config.ARGB_8888;
            options.inPremultiplied = false;
            options.inScaled = false;
            Bitmap bitmap;
            try (InputStream stream = open(uri)) {
                bitmap = BitmapFactory.decodeStream(stream, null, options);
            }
            if (bitmap == null || bitmap.getConfig() != Bitmap.Config.ARGB_8888) {
                throw new Message(texts.of(Text.PICTURE_UNREADABLE));
            }
            return Pixels.upright(image(bitmap), orientation(uri));
        } catch (IOException | SecurityException error) {
            throw new Message(texts.of(Text.PICTURE_UNREADABLE), error);
        }
    }

    private InputStream open(Uri uri) throws IOException {
        InputStream stream = resolver.openInputStream(uri);
        if (stream == null) {
            throw new FileNotFoundException(uri.toString());
        }
        return stream;
    }

    /** RGB of a bitmap's own bytes: to ask it for colours would apply its profile. The bitmap is given back. */
    private static Image image(Bitmap bitmap) {
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        byte[] pixels = new byte[Math.multiplyExact(3, width * height)];
        ByteBuffer bytes = ByteBuffer.allocate(bitmap.getByteCount());
        bitmap.copyPixelsToBuffer(bytes);
        int rowBytes = bitmap.getRowBytes();
        bitmap.recycle();
        byte[] all = bytes.array();
        for (int row = 0, at = 0; row < height; row++) {
            for (int column = 0, from = row * rowBytes; column < width; column++, from += 4) {
                pixels[at++] = all[from];
                pixels[at++] = all[from + 1];
                pixels[at++] = all[from + 2];
            }
        }
        return new Image(width, height, 3, pixels);
    }

    private int orientation(Uri uri) {
        try (InputStream stream = open(uri)) {
            return new ExifInterface(stream)
                    .getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL);
        } catch (IOException | RuntimeException without) {
            return ExifInterface.ORIENTATION_NORMAL; // a file without EXIF data
        }
    }

    /** An image to be drawn. */
    static Bitmap bitmap(Image image) {
        Display display = new Display(image);
        return Bitmap.createBitmap(display.argb, display.width, display.height, Bitmap.Config.ARGB_8888);
    }
}
