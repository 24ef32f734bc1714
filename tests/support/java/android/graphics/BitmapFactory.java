package android.graphics;

import java.awt.image.Raster;
import java.io.IOException;
import java.io.InputStream;
import java.awt.image.BufferedImage;
import javax.imageio.ImageIO;

/** By Java's own decoders: grey and RGB. */
public class BitmapFactory {
    public static class Options {
        public boolean inJustDecodeBounds;
        public Bitmap.Config inPreferredConfig;
        public boolean inPremultiplied = true;
        public boolean inScaled = true;
        public int outWidth;
        public int outHeight;
    }

    public static Bitmap decodeStream(InputStream stream, Rect padding, Options options) {
        BufferedImage image;
        try {
            image = ImageIO.read(stream);
        } catch (IOException damaged) {
            image = null;
        }
        if (image == null) {
            options.outWidth = options.outHeight = -1;
            return null;
        }
        Raster raster = image.getRaster();
        options.outWidth = raster.getWidth();
        options.outHeight = raster.getHeight();
        int[] argb = new int[options.outWidth * options.outHeight];
        for (int place = 0; place < argb.length; place++) {
            argb[place] = 0xff000000;
            for (int channel = 0; channel < 3; channel++) {
                int band = raster.getNumBands() < 3 ? 0 : channel;
                int shade = raster.getSample(place % options.outWidth, place / options.outWidth, band);
                argb[place] |= shade << 16 - 8 * channel;
            }
        }
        return options.inJustDecodeBounds
                ? null
                : Bitmap.createBitmap(argb, options.outWidth, options.outHeight, Bitmap.Config.ARGB_8888);
    }
}
