package org.falconedge.core;

import java.util.Arrays;

/**
 * The triangle filter, widened when reducing, in integer coefficients of 22 bits: Pillow's BILINEAR on images of 8
 * bits, bit for bit, along the width first (docs/formats.md, resize).
 */
final class Resampling {
    private static final int BITS = 22;

    private Resampling() {}

    /** An image of another size; a direction in which the size stays is left as it is. */
    static Image resized(Image image, int height, int width) {
        int channels = image.channels;
        byte[] pixels = image.pixels;
        if (width != image.width) {
            pixels = along(pixels, image.height, image.width, width, channels);
        }
        if (height != image.height) {
            pixels = along(pixels, 1, image.height, height, width * channels);
        }
        return new Image(width, height, channels, pixels);
    }

    /** Lines of `from` places, each of `values` numbers, resampled to lines of `to` places. */
    private static byte[] along(byte[] pixels, int lines, int from, int to, int values) {
        byte[] resampled = new byte[lines * to * values];
        int[] sums = new int[values];
        double scale = (double) from / to;
        double filter = Math.max(scale, 1);
        double[] weights = new double[(int) Math.ceil(filter) * 2 + 1];
        for (int place = 0; place < to; place++) {
            double centre = (place + 0.5) * scale;
            int first = Math.max((int) (centre - filter + 0.5), 0);
            int last = Math.min((int) (centre + filter + 0.5), from);
            int[] taps = taps(weights, centre, filter, first, last);
            for (int line = 0; line < lines; line++) {
                Arrays.fill(sums, 1 << (BITS - 1));
                for (int tap = 0; tap < taps.length; tap++) {
                    int at = (line * from + first + tap) * values;
                    for (int value = 0; value < values; value++) {
                        sums[value] += taps[tap] * (pixels[at + value] & 255);
                    }
                }
                int at = (line * to + place) * values;
                for (int value = 0; value < values; value++) {
                    resampled[at + value] = (byte) Math.max(0, Math.min(255, sums[value] >> BITS));
                }
            }
        }
        return resampled;
    }

    /** The integer weights of the places from first to last - 1. */
    private static int[] taps(double[] weights, double centre, double filter, int first, int last) {
        double sum = 0;
        double share = 1 / filter;
        for (int tap = 0; tap < last - first; tap++) {
            weights[tap] = Math.max(0, 1 - Math.abs((tap + first - centre + 0.5) * share));
            sum += weights[tap];
        }
        int[] taps = new int[last - first];
        for (int tap = 0; tap < taps.length; tap++) {
            double weight = sum == 0 ? weights[tap] : weights[tap] / sum;
            taps[tap] = (int) (0.5 + weight * (1 << BITS));
        }
        return taps;
    }
}
