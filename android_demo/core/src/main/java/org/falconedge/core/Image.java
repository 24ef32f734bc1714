package org.falconedge.core;

/** An image: uint8, height x width x channels, one channel (grey) or three (RGB). */
public final class Image {
    public final int width;
    public final int height;
    public final int channels;

    /** The array itself, no copy. */
    public final byte[] pixels;

    /** Throws IllegalArgumentException where there are more or fewer pixels than the size has. */
    public Image(int width, int height, int channels, byte[] pixels) {
        if (width < 1 || height < 1 || channels < 1 || (long) width * height * channels != pixels.length) {
            throw new IllegalArgumentException(
                    pixels.length + " bytes are no image of " + height + " x " + width + " x " + channels);
        }
        this.width = width;
        this.height = height;
        this.channels = channels;
        this.pixels = pixels;
    }

    /** RGB of Android's colours (0xAARRGGBB), whose alpha is left out. */
    public static Image fromArgb(int[] argb, int width, int height) {
        byte[] pixels = new byte[Math.multiplyExact(3, argb.length)];
        for (int index = 0, at = 0; index < argb.length; index++) {
            pixels[at++] = (byte) (argb[index] >> 16);
            pixels[at++] = (byte) (argb[index] >> 8);
            pixels[at++] = (byte) argb[index];
        }
        return new Image(width, height, 3, pixels);
    }

    /** As in "28 x 28 x 1": height, width, channels. */
    @Override
    public String toString() {
        return height + " x " + width + " x " + channels;
    }
}
