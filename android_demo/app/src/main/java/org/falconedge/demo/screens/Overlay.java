package org.falconedge.demo.screens;

import org.falconedge.core.Image;
import org.falconedge.core.Placement;

/** A map over the image that it is of. */
final class Overlay {
    /** The image counts as much as the map. */
    private static final int IMAGE = 1, MAP = 1;

    /** As many shades are told apart at a glance; classes beyond these take them again. */
    private static final int[] COLOURS = {
        0x000000, 0xE69F00, 0x56B4E9, 0x009E73, 0xF0E442, 0x0072B2, 0xD55E00, 0xCC79A7, 0xFFFFFF, 0x999999, 0x7F3C8D,
        0x11A579,
    };

    private Overlay() {}

    /**
     * RGB of an image, as large as it is drawn, with colours (`width` x `height`, row by row) over it: those that are
     * nearest to each pixel. What of the image the network was not shown stays as it is.
     *
     * @param inHeight height of the network's input, in which `placement` says where the image's pixels lie
     */
    static Image over(
            Image image, Placement placement, int inHeight, int inWidth, int[] colours, int width, int height) {
        int every = Display.every(image);
        int rows = Display.shown(image.height, every);
        int columns = Display.shown(image.width, every);
        byte[] pixels = new byte[3 * rows * columns];
        for (int row = 0, at = 0; row < rows; row++) {
            int inRow = placement.row(row * every);
            for (int column = 0; column < columns; column++) {
                int inColumn = placement.column(column * every);
                int place = (row * every * image.width + column * every) * image.channels;
                boolean seen = inRow >= 0 && inColumn >= 0;
                int colour = seen
                        ? colours[(int) ((long) inRow * height / inHeight) * width
                                + (int) ((long) inColumn * width / inWidth)]
                        : 0;
                for (int channel = 0; channel < 3; channel++) {
                    int shade = image.pixels[place + (image.channels == 3 ? channel : 0)] & 0xff;
                    int over = colour >> (16 - 8 * channel) & 0xff;
                    pixels[at++] = (byte) (seen ? (IMAGE * shade + MAP * over) / (IMAGE + MAP) : shade);
                }
            }
        }
        return new Image(columns, rows, 3, pixels);
    }

    /** The colours of classes. */
    static int[] colours(int[] classes) {
        int[] colours = new int[classes.length];
        for (int place = 0; place < colours.length; place++) {
            colours[place] = colour(classes[place]);
        }
        return colours;
    }

    /** Numbers as greys, from the lowest to the highest. */
    static int[] greys(float[] values) {
        float lowest = Float.POSITIVE_INFINITY;
        float highest = Float.NEGATIVE_INFINITY;
        for (float value : values) {
            if (Math.abs(value) <= Float.MAX_VALUE) { // a number, and no infinite one
                lowest = Math.min(lowest, value);
                highest = Math.max(highest, value);
            }
        }
        int[] colours = new int[values.length];
        for (int place = 0; place < colours.length; place++) {
            float share = (values[place] - lowest) / (highest - lowest);
            colours[place] = 0x010101 * Math.max(0, Math.min(Math.round(255 * share), 255)); // NaN is rounded to 0
        }
        return colours;
    }

    /** The colour of a class, as 0xRRGGBB. */
    static int colour(int place) {
        return COLOURS[Math.floorMod(place, COLOURS.length)];
    }
}
