package org.falconedge.demo.screens;

import java.nio.ByteBuffer;
import org.falconedge.core.Image;

/** What a camera gives, as an image. */
public final class Frames {
    private Frames() {}

    /** One plane of a frame: where its numbers lie. */
    public static final class Plane {
        final ByteBuffer bytes;
        final int rowStride;
        final int pixelStride;

        public Plane(ByteBuffer bytes, int rowStride, int pixelStride) {
            this.bytes = bytes;
            this.rowStride = rowStride;
            this.pixelStride = pixelStride;
        }

        int at(int row, int column) {
            return bytes.get(row * rowStride + column * pixelStride) & 0xff;
        }
    }

    /** RGB of YUV 4:2:0 by JPEG's equations (BT.601, 0..255), rounded; the width and height may be odd. */
    public static Image rgb(int width, int height, Plane y, Plane u, Plane v) {
        byte[] pixels = new byte[3 * width * height];
        for (int row = 0, at = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                int light = (y.at(row, column) << 16) + (1 << 15);
                int blue = u.at(row / 2, column / 2) - 128;
                int red = v.at(row / 2, column / 2) - 128;
                pixels[at++] = byteOf(light + 91881 * red);
                pixels[at++] = byteOf(light - 22554 * blue - 46802 * red);
                pixels[at++] = byteOf(light + 116130 * blue);
            }
        }
        return new Image(width, height, 3, pixels);
    }

    /**
     * The EXIF orientation of a frame: how it is to be turned so that it is upright on the screen.
     *
     * @param sensor degrees that the sensor is turned clockwise against the device
     * @param screen degrees that the screen is turned against its natural position
     * @param front whether the camera looks at who holds the device
     */
    public static int orientation(int sensor, int screen, boolean front) {
        int turn = Math.floorMod(front ? sensor + screen : sensor - screen, 360);
        switch (turn) {
            case 90:
                return 6;
            case 180:
                return 3;
            case 270:
                return 8;
            default:
                return 1;
        }
    }

    private static byte byteOf(int fixed) {
        int value = fixed >> 16;
        return (byte) (value < 0 ? 0 : Math.min(value, 255));
    }
}
