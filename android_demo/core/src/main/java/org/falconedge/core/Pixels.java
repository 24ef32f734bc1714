package org.falconedge.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** Images as networks take them (docs/formats.md, Pre-processing: normative). */
public final class Pixels {
    /** Of inputs: from here on an image is taken for a photo (falcon_edge/preprocessing.py). */
    private static final int PHOTO_SIZE = 160;

    private static final double CROP_SHARE = 0.875;

    private Pixels() {}

    /** An image upright, by the orientation of its EXIF data (1 to 8; anything else is 1). */
    public static Image upright(Image image, int orientation) {
        if (orientation < 2 || orientation > 8) {
            return image;
        }
        boolean turned = orientation >= 5;
        int height = turned ? image.width : image.height;
        int width = turned ? image.height : image.width;
        int channels = image.channels;
        byte[] pixels = new byte[image.pixels.length];
        for (int y = 0, to = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int column = turned ? y : x;
                int row = turned ? x : y;
                boolean right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
                boolean below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
                column = right ? image.width - 1 - column : column;
                row = below ? image.height - 1 - row : row;
                int from = (row * image.width + column) * channels;
                for (int channel = 0; channel < channels; channel++) {
                    pixels[to++] = image.pixels[from + channel];
                }
            }
        }
        return new Image(width, height, channels, pixels);
    }

    /** An image after the steps of an input. Throws Message where they do not lead to its size. */
    public static Image prepare(Image image, InputSpec spec) throws Message {
        Image prepared = image;
        for (Step step : spec.steps) {
            prepared = step.apply(prepared);
        }
        if (prepared.channels == 1 && spec.channels == 3) { // a network of coloured images has no step for this
            prepared = new Step.Channels(3).apply(prepared);
        }
        if (prepared.height != spec.height || prepared.width != spec.width || prepared.channels != spec.channels) {
            throw new Message(
                    "an image of " + image + " comes out of the model's steps as " + prepared + ", and the model takes "
                            + spec.height + " x " + spec.width + " x " + spec.channels);
        }
        return prepared;
    }

    /** Where an image's pixels lie in the input that its steps make of it. */
    public static Placement placement(Image image, InputSpec spec) {
        long[] size = {image.height, image.width};
        Placement found = new Placement(image.height, image.width);
        for (Step step : spec.steps) {
            found = step.placed(found, (int) size[0], (int) size[1]);
            size = step.size(size[0], size[1]);
        }
        return found;
    }

    /**
     * The input with steps that lead from this image to it: its own where they do, else those that a data set of images
     * of any size would have got (input_spec_for in falcon_edge/preprocessing.py).
     */
    public static InputSpec fitting(InputSpec spec, Image image) {
        if (leads(spec, image)) {
            return spec;
        }
        List<Step> steps = new ArrayList<>();
        if (image.channels != spec.channels && (spec.channels == 1 || spec.channels == 3)) {
            steps.add(new Step.Channels(spec.channels));
        }
        if (Math.min(spec.height, spec.width) >= PHOTO_SIZE) {
            steps.add(new Step.ResizeShorter((int) Math.rint(Math.max(spec.height, spec.width) / CROP_SHARE)));
            steps.add(new Step.Crop(spec.height, spec.width));
        } else {
            steps.add(new Step.Resize(spec.height, spec.width));
        }
        return spec.with(steps);
    }

    /** Whether the steps of an input lead from an image to its size. */
    private static boolean leads(InputSpec spec, Image image) {
        long[] size = {image.height, image.width};
        int channels = image.channels;
        for (Step step : spec.steps) {
            size = step.size(size[0], size[1]);
            channels = step.channels(channels);
            if (size[0] < 1 || size[1] < 1 || (double) size[0] * size[1] * channels > Step.MOST_BYTES) {
                return false;
            }
        }
        boolean repeated = channels == 1 && spec.channels == 3;
        return size[0] == spec.height && size[1] == spec.width && (channels == spec.channels || repeated);
    }

    /** float32 NCHW of pixels: p / 255, minus mean, divided by std, each rounded to float32. */
    public static float[] normalise(Image image, float[] mean, float[] std) {
        if (mean.length != image.channels || std.length != image.channels) {
            throw new IllegalArgumentException(mean.length + " means for an image of " + image);
        }
        int count = image.height * image.width;
        float[] values = new float[image.pixels.length];
        float[] known = new float[256];
        for (int channel = 0; channel < image.channels; channel++) {
            for (int pixel = 0; pixel < known.length; pixel++) {
                float value = pixel / 255f;
                value = value - mean[channel];
                known[pixel] = value / std[channel];
            }
            for (int index = 0; index < count; index++) {
                values[channel * count + index] = known[image.pixels[index * image.channels + channel] & 255];
            }
        }
        return values;
    }

    /** Numbers in NCHW as NHWC. */
    public static float[] toNhwc(float[] values, int channels, int height, int width) {
        int count = height * width;
        float[] found = new float[values.length];
        for (int channel = 0; channel < channels; channel++) {
            for (int index = 0; index < count; index++) {
                found[index * channels + channel] = values[channel * count + index];
            }
        }
        return found;
    }

    /** A prepared image as the bytes of an engine's input: normalised, in its layout, quantized for one of integers. */
    public static ByteBuffer input(Image prepared, InputSpec spec, Tensor input) throws Message {
        return input(normalise(prepared, spec.mean, spec.std), input);
    }

    /** The same of numbers in NCHW that are normalised already. */
    public static ByteBuffer input(float[] nchw, Tensor input) throws Message {
        if (nchw.length != input.count()) {
            throw new Message(nchw.length + " numbers are not what the file takes: " + input);
        }
        float[] values = nchw;
        if (input.layout.equals("NHWC") && input.shape.length == 4) {
            values = toNhwc(nchw, (int) input.shape[3], (int) input.shape[1], (int) input.shape[2]);
        }
        ByteBuffer bytes = ByteBuffer.allocateDirect(input.bytes()).order(ByteOrder.nativeOrder());
        if (input.dtype == Dtype.FLOAT32) {
            bytes.asFloatBuffer().put(values);
            return bytes;
        }
        if (input.dtype != Dtype.INT8 && input.dtype != Dtype.UINT8) {
            throw new Message("the file's input is " + input.dtype + "; float32, int8 and uint8 are known");
        }
        if (input.scale == 0) {
            throw new Message("the file's input is " + input.dtype + " without a scale");
        }
        bytes.put(Quantization.quantize(values, (float) input.scale, input.zeroPoint, input.dtype));
        Buffers.rewind(bytes);
        return bytes;
    }
}
