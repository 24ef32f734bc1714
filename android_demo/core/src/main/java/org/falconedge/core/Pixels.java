package org.falconedge.core;

/** Images as networks take them (docs/formats.md, Pre-processing: normative). */
public final class Pixels {
    private Pixels() {}

    /** An image upright, by the orientation of its EXIF data (1 to 8; anything else is 1). */
    public static Image upright(Image image, int orientation) {
        throw new UnsupportedOperationException();
    }

    /** An image after the steps of an input. Throws Message where they do not lead to its size. */
    public static Image prepare(Image image, InputSpec spec) throws Message {
        throw new UnsupportedOperationException();
    }

    /**
     * The input with steps that lead from this image to it: its own where they do, else those that a data set of images
     * of any size would have got.
     */
    public static InputSpec fitting(InputSpec spec, Image image) {
        throw new UnsupportedOperationException();
    }

    /** float32 NCHW of pixels: p / 255, minus mean, divided by std, each rounded to float32. */
    public static float[] normalise(Image image, float[] mean, float[] std) {
        throw new UnsupportedOperationException();
    }

    /** Numbers in NCHW as NHWC. */
    public static float[] toNhwc(float[] values, int channels, int height, int width) {
        throw new UnsupportedOperationException();
    }

    /** A prepared image as the bytes of an engine's input: normalised, in its layout, quantized if it is of integers. */
    public static java.nio.ByteBuffer input(Image prepared, InputSpec spec, Tensor input) throws Message {
        throw new UnsupportedOperationException();
    }

    /** The same of numbers in NCHW that are normalised already. */
    public static java.nio.ByteBuffer input(float[] nchw, Tensor input) throws Message {
        throw new UnsupportedOperationException();
    }
}
