package org.falconedge.core;

import java.util.Arrays;

/** What an engine takes or gives: shape with the batch (1), and what its integers mean. */
public final class Tensor {
    /** Numbers of an input, as manifests may have them: more would only fill the memory. */
    private static final int LARGEST_INPUT = 1 << 24;

    public final String name;
    public final Dtype dtype;
    public final long[] shape;

    /** "NCHW" or "NHWC": how the file has images and maps. */
    public final String layout;

    /** real = scale (q - zeroPoint), counted in this tensor's own type; scale is 0 where the file does not tell. */
    public final double scale;

    public final int zeroPoint;

    public Tensor(String name, Dtype dtype, long[] shape, String layout, double scale, int zeroPoint) {
        this.name = name;
        this.dtype = dtype;
        this.shape = shape.clone();
        this.layout = layout;
        this.scale = scale;
        this.zeroPoint = zeroPoint;
    }

    /** How many numbers it has; throws Message for more than fit into memory. */
    public int count() throws Message {
        long count = 1;
        for (long size : shape) {
            if (size < 0 || (size > 0 && count > Integer.MAX_VALUE / size)) {
                throw new Message(name + ": a tensor of the shape " + Arrays.toString(shape) + " is too large");
            }
            count *= size;
        }
        return (int) count;
    }

    /** How many bytes it has. */
    public int bytes() throws Message {
        long bytes = (long) count() * dtype.bytes;
        if (bytes > Integer.MAX_VALUE) {
            throw new Message(name + ": a tensor of " + bytes + " bytes is too large");
        }
        return (int) bytes;
    }

    /** Throws Message for an input that is larger than images are, before memory is asked for it. */
    public void checkInput() throws Message {
        if (count() > LARGEST_INPUT) {
            throw new Message("the file's input is too large: " + this);
        }
    }

    /** As in "input float32 [1, 3, 32, 32]". */
    @Override
    public String toString() {
        return name + " " + dtype + " " + Arrays.toString(shape);
    }
}
