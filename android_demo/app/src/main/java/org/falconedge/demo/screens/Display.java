package org.falconedge.demo.screens;

import org.falconedge.core.Image;

/** An image as Android draws it: every n-th pixel of a large one. */
public final class Display {
    private static final int MOST = 1024;

    public final int width;
    public final int height;

    /** 0xAARRGGBB. */
    public final int[] argb;

    /** Of an image of one channel or three. */
    public Display(Image image) {
        int every = every(image);
        width = shown(image.width, every);
        height = shown(image.height, every);
        argb = new int[width * height];
        int green = image.channels == 3 ? 1 : 0;
        for (int row = 0, at = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                int place = (row * every * image.width + column * every) * image.channels;
                argb[at++] = 0xff << 24
                        | (image.pixels[place] & 0xff) << 16
                        | (image.pixels[place + green] & 0xff) << 8
                        | image.pixels[place + 2 * green] & 0xff;
            }
        }
    }

    /** Which pixels of an image are drawn: every first, second, ... */
    static int every(Image image) {
        return (Math.max(image.width, image.height) + MOST - 1) / MOST;
    }

    /** How many of a row of pixels that is. */
    static int shown(int pixels, int every) {
        return (pixels + every - 1) / every;
    }
}
