package org.falconedge.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** A network's input, and the steps that bring an image to it (docs/formats.md, Pre-processing). */
public final class InputSpec {
    /** Numbers of an input, and of pixels that a step may ask for: more would only fill the memory. */
    private static final int MOST_VALUES = 1 << 24;

    static final int MOST_PIXELS = 1 << 15;

    public final String name;
    public final int channels;
    public final int height;
    public final int width;

    /** By channel, in 0..1; the arrays themselves, no copies. */
    public final float[] mean;

    public final float[] std;
    public final List<Step> steps;

    private InputSpec(String name, int channels, int height, int width, float[] mean, float[] std, List<Step> steps) {
        this.name = name;
        this.channels = channels;
        this.height = height;
        this.width = width;
        this.mean = mean;
        this.std = std;
        this.steps = Collections.unmodifiableList(steps);
    }

    static InputSpec read(Fields fields) throws Message {
        int[] shape = fields.sizes("shape", 1, MOST_VALUES);
        if (shape.length != 3) {
            throw fields.wrong("shape", "channels, height and width were expected");
        }
        if ((double) shape[0] * shape[1] * shape[2] > MOST_VALUES) {
            throw fields.wrong("shape", "images of this size are too large");
        }
        if (fields.has("dtype")) {
            fields.oneOf("dtype", "float32");
        }
        if (fields.has("layout")) {
            fields.oneOf("layout", "NCHW");
        }
        List<Step> steps = new ArrayList<>();
        for (Fields step : fields.objects("steps")) {
            steps.add(Step.read(step));
        }
        float[] mean = byChannel(fields, "mean", shape[0], -Double.MAX_VALUE);
        float[] std = byChannel(fields, "std", shape[0], Double.MIN_VALUE);
        return new InputSpec(fields.text("name", "input"), shape[0], shape[1], shape[2], mean, std, steps);
    }

    /** The same input, with other steps to it. */
    InputSpec with(List<Step> others) {
        return new InputSpec(name, channels, height, width, mean, std, others);
    }

    private static float[] byChannel(Fields fields, String name, int channels, double least) throws Message {
        double[] numbers = fields.numbers(name);
        if (numbers.length != channels) {
            throw fields.wrong(name, channels + " numbers were expected, one a channel");
        }
        float[] found = new float[channels];
        for (int index = 0; index < channels; index++) {
            if (numbers[index] < least) {
                throw fields.wrong(name, "numbers above 0 were expected");
            }
            found[index] = (float) numbers[index];
        }
        return found;
    }
}
