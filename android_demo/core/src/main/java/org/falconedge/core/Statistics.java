package org.falconedge.core;

import java.util.Arrays;

/** Order statistics, as NumPy computes them. */
public final class Statistics {
    private Statistics() {}

    /** Samples as sorted numbers. */
    public static double[] sorted(long[] samples) {
        double[] sorted = new double[samples.length];
        for (int index = 0; index < sorted.length; index++) {
            sorted[index] = samples[index];
        }
        Arrays.sort(sorted);
        return sorted;
    }

    /** The percentile (0 to 100) of sorted numbers, of which there is at least one: numpy.percentile, bit for bit. */
    public static double percentile(double[] sorted, double percent) {
        double place = percent / 100 * (sorted.length - 1);
        int below = (int) Math.floor(place);
        if (below + 1 >= sorted.length) {
            return sorted[sorted.length - 1];
        }
        double share = place - below;
        double step = sorted[below + 1] - sorted[below];
        return share >= 0.5 ? sorted[below + 1] - step * (1 - share) : sorted[below] + step * share;
    }

    /** The summary of samples, of which there is at least one. */
    public static Summary summary(long[] samples) {
        return new Summary(samples);
    }
}
