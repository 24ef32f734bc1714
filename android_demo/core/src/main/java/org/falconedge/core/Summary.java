package org.falconedge.core;

/** Order statistics of samples, in their unit (NumPy's linear interpolation). */
public final class Summary {
    public final int count;
    public final double min;
    public final double p25;
    public final double p50;
    public final double p75;
    public final double p90;
    public final double p95;
    public final double p99;
    public final double max;
    public final double iqr;

    /** Of at least one sample. */
    public Summary(long[] samples) {
        double[] sorted = Statistics.sorted(samples);
        count = sorted.length;
        min = sorted[0];
        p25 = Statistics.percentile(sorted, 25);
        p50 = Statistics.percentile(sorted, 50);
        p75 = Statistics.percentile(sorted, 75);
        p90 = Statistics.percentile(sorted, 90);
        p95 = Statistics.percentile(sorted, 95);
        p99 = Statistics.percentile(sorted, 99);
        max = sorted[count - 1];
        iqr = p75 - p25;
    }
}
