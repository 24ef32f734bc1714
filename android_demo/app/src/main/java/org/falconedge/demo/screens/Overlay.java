package org.falconedge.demo.screens;

import org.falconedge.core.Image;

/** A map of classes over the image that it is of. */
final class Overlay {
    /** The image counts as much as the colour of the class. */
    private static final int IMAGE = 1, COLOUR = 1;

    /** As many shades are told apart at a glance; classes beyond these take them again. */
    private static final int[] COLOURS = {
        0x000000, 0xE69F00, 0x56B4E9, 0x009E73, 0xF0E442, 0x0072B2, 0xD55E00, 0xCC79A7, 0xFFFFFF, 0x999999, 0x7F3C8D,
        0x11A579,
    };

    private Overlay() {}

    /** RGB of an image, its classes (`width` x `height`, row by row) as colours over it: the nearest to each pixel. */
    static Image over(Image image, int[] classes, int width, int height) {
        byte[] pixels = new byte[Math.multiplyExact(3, image.width * image.height)];
        for (int row = 0, at = 0; row < image.height; row++) {
            int mapRow = (int) ((long) row * height / image.height);
            for (int column = 0; column < image.width; column++) {
                int colour = colour(classes[mapRow * width + (int) ((long) column * width / image.width)]);
                int place = (row * image.width + column) * image.channels;
                for (int channel = 0; channel < 3; channel++) {
                    int shade = image.pixels[place + (image.channels == 3 ? channel : 0)] & 0xff;
                    int over = colour >> (16 - 8 * channel) & 0xff;
                    pixels[at++] = (byte) ((IMAGE * shade + COLOUR * over) / (IMAGE + COLOUR));
                }
            }
        }
        return new Image(image.width, image.height, 3, pixels);
    }

    /** The colour of a class, as 0xRRGGBB. */
    static int colour(int place) {
        return COLOURS[Math.floorMod(place, COLOURS.length)];
    }
}
