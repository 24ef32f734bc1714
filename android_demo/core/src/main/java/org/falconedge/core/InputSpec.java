package org.falconedge.core;

import java.util.List;

/** A network's input, and the steps that bring an image to it (docs/formats.md, Pre-processing). */
public final class InputSpec {
    public final String name;
    public final int channels;
    public final int height;
    public final int width;

    /** By channel, in 0..1. */
    public final float[] mean;

    public final float[] std;
    public final List<Step> steps;

    InputSpec(String name, int channels, int height, int width, float[] mean, float[] std, List<Step> steps) {
        this.name = name;
        this.channels = channels;
        this.height = height;
        this.width = width;
        this.mean = mean;
        this.std = std;
        this.steps = steps;
    }

    /** The same input, with other steps to it. */
    InputSpec with(List<Step> others) {
        return new InputSpec(name, channels, height, width, mean, std, others);
    }
}
