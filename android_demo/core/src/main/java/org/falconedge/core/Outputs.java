package org.falconedge.core;

import java.nio.ByteBuffer;
import java.util.List;

/** What engines give, as people and programs want it. */
public final class Outputs {
    private Outputs() {}

    /** An output as the network has it: real numbers, maps as (channels, height, width). */
    public static float[] real(ByteBuffer values, Tensor tensor, Manifest.Integers integers) throws Message {
        throw new UnsupportedOperationException();
    }

    /** Shares that add up to 1. */
    public static float[] softmax(float[] scores) {
        throw new UnsupportedOperationException();
    }

    /** The places of the k highest, the highest first; of equal ones the first. */
    public static int[] topK(float[] scores, int k) {
        throw new UnsupportedOperationException();
    }

    /** The place of the highest; the first of equal ones, and the first that is no number, as in NumPy. */
    public static int argmax(float[] scores) {
        throw new UnsupportedOperationException();
    }

    /** For every pixel of a map (channels, height, width) the highest channel. */
    public static int[] classes(float[] map, int channels, int height, int width) {
        throw new UnsupportedOperationException();
    }

    /** As in "4 x 3: 0.123, -1.5, ... (12 numbers, -2 to 3)". */
    public static String text(float[] values, int[] shape) {
        throw new UnsupportedOperationException();
    }

    /** What the worker's `evaluate` writes of outputs: all ("none"), floats halved ("half"), or the "classes" of the first. */
    static byte[] reduced(List<ByteBuffer> outputs, List<Tensor> tensors, String reduction) throws Message {
        throw new UnsupportedOperationException();
    }
}
