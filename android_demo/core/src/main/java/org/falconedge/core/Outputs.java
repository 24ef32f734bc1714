package org.falconedge.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Locale;

/** What engines give, as people and programs want it. */
public final class Outputs {
    /** Integers count from here where a file has signed ones. */
    private static final int LOWEST = -128;

    private static final int SHOWN = 8;

    private Outputs() {}

    /**
     * An output as the network has it: real numbers, maps as (channels, height, width).
     *
     * @param integers what its integers mean, by the manifest; null: they are numbers themselves
     */
    public static float[] real(ByteBuffer values, Tensor tensor, Manifest.Integers integers) throws Message {
        if (values.limit() != tensor.bytes()) {
            throw new Message(tensor + ": the file gave " + values.limit() + " bytes");
        }
        Numbers numbers = new Numbers(values, tensor.dtype);
        float[] found = new float[numbers.count];
        boolean meant = integers != null && (tensor.dtype == Dtype.INT8 || tensor.dtype == Dtype.UINT8);
        int shift = tensor.dtype == Dtype.UINT8 ? LOWEST : 0;
        for (int index = 0; index < found.length; index++) {
            found[index] = (float) numbers.real(index);
            if (meant) {
                found[index] = (found[index] + (shift - integers.zeroPoint)) * (float) integers.scale;
            }
        }
        return isNhwcMap(tensor) ? toNchw(found, tensor.shape) : found;
    }

    /** Shares that add up to 1. */
    public static float[] softmax(float[] scores) {
        double highest = Double.NEGATIVE_INFINITY;
        for (float score : scores) {
            highest = Math.max(highest, score);
        }
        double sum = 0;
        for (float score : scores) {
            sum += Math.exp(score - highest);
        }
        float[] shares = new float[scores.length];
        for (int index = 0; index < shares.length; index++) {
            shares[index] = (float) (Math.exp(scores[index] - highest) / sum);
        }
        return shares;
    }

    /** The places of the k highest, the highest first, of equal ones the first; what is no number comes last. */
    public static int[] topK(float[] scores, int k) {
        int[] found = new int[Math.max(0, Math.min(k, scores.length))];
        int kept = 0;
        for (int place = 0; place < scores.length && found.length > 0; place++) {
            int at = kept;
            while (at > 0 && isBetter(scores[place], scores[found[at - 1]])) {
                at--;
            }
            if (at < found.length) {
                kept = Math.min(kept + 1, found.length);
                System.arraycopy(found, at, found, at + 1, kept - 1 - at);
                found[at] = place;
            }
        }
        return found;
    }

    private static boolean isBetter(float one, float other) {
        return one > other || (!Float.isNaN(one) && Float.isNaN(other));
    }

    /** The place of the highest; the first of equal ones, and the first that is no number, as in NumPy. */
    public static int argmax(float[] scores) {
        int best = 0;
        for (int place = 1; place < scores.length; place++) {
            boolean stranger = Float.isNaN(scores[place]) && !Float.isNaN(scores[best]);
            best = scores[place] > scores[best] || stranger ? place : best;
        }
        return best;
    }

    /** For every pixel of a map (channels, height, width) the highest channel. */
    public static int[] classes(float[] map, int channels, int height, int width) {
        int count = height * width;
        int[] found = new int[count];
        for (int index = 0; index < count; index++) {
            int best = 0;
            for (int channel = 1; channel < channels; channel++) {
                best = map[channel * count + index] > map[best * count + index] ? channel : best;
            }
            found[index] = best;
        }
        return found;
    }

    /** As in "4 x 3: 0.123, -1.5, ... (12 numbers, -2 to 3)". */
    public static String text(float[] values, int[] shape) {
        StringBuilder out = new StringBuilder();
        for (int size : shape) {
            out.append(out.length() == 0 ? "" : " x ").append(size);
        }
        out.append(out.length() == 0 ? "" : ": ");
        float lowest = Float.POSITIVE_INFINITY;
        float highest = Float.NEGATIVE_INFINITY;
        for (int index = 0; index < values.length; index++) {
            if (index < SHOWN) {
                out.append(index == 0 ? "" : ", ").append(String.format(Locale.ROOT, "%.4g", values[index]));
            }
            lowest = Math.min(lowest, values[index]);
            highest = Math.max(highest, values[index]);
        }
        if (values.length > SHOWN) {
            out.append(String.format(
                    Locale.ROOT, ", ... (%d numbers, %.4g to %.4g)", values.length, lowest, highest));
        }
        return out.toString();
    }

    /** What `evaluate` writes of outputs: all ("none"), floats as float16 ("half"), or the "classes" of the first. */
    static ByteBuffer[] reduced(List<ByteBuffer> outputs, List<Tensor> tensors, String reduction) throws Message {
        if (reduction.equals("none")) {
            return outputs.toArray(new ByteBuffer[0]);
        }
        if (reduction.equals("half")) {
            ByteBuffer[] found = new ByteBuffer[outputs.size()];
            for (int index = 0; index < found.length; index++) {
                found[index] = halved(outputs.get(index), tensors.get(index).dtype);
            }
            return found;
        }
        if (!reduction.equals("classes")) {
            throw new Message("no such reduction: " + reduction);
        }
        return new ByteBuffer[] {classes(outputs.get(0), tensors.get(0))};
    }

    private static ByteBuffer halved(ByteBuffer output, Dtype dtype) {
        if (!dtype.isFloat()) {
            return output;
        }
        Numbers numbers = new Numbers(output, dtype);
        ByteBuffer found = ByteBuffer.allocate(2 * numbers.count).order(ByteOrder.LITTLE_ENDIAN);
        for (int index = 0; index < numbers.count; index++) {
            found.putShort(Half.of(numbers.real(index)));
        }
        Buffers.rewind(found);
        return found;
    }

    /** The places of the highest values along the classes, in the smallest of uint8, uint16 and int32. */
    private static ByteBuffer classes(ByteBuffer output, Tensor tensor) throws Message {
        long[] shape = tensor.shape;
        int axis = isNhwcMap(tensor) ? 3 : Math.min(1, Math.max(shape.length - 1, 0));
        int count = shape.length == 0 ? 1 : (int) shape[axis];
        int stride = 1;
        for (int each = axis + 1; each < shape.length; each++) {
            stride *= (int) shape[each];
        }
        int size = count <= 1 << 8 ? 1 : count <= 1 << 16 ? 2 : 4;
        int rows = count == 0 ? 0 : tensor.count() / count;
        Numbers numbers = new Numbers(output, tensor.dtype);
        ByteBuffer found = ByteBuffer.allocate(Math.multiplyExact(size, rows)).order(ByteOrder.LITTLE_ENDIAN);
        for (int row = 0; row < rows; row++) {
            int start = row / stride * stride * count + row % stride;
            int best = 0;
            for (int place = 1; place < count; place++) {
                best = numbers.above(start + place * stride, start + best * stride) ? place : best;
            }
            if (size == 1) {
                found.put((byte) best);
            } else if (size == 2) {
                found.putShort((short) best);
            } else {
                found.putInt(best);
            }
        }
        Buffers.rewind(found);
        return found;
    }

    private static boolean isNhwcMap(Tensor tensor) {
        return tensor.shape.length == 4 && tensor.layout.equals("NHWC");
    }

    private static float[] toNchw(float[] values, long[] shape) {
        int count = (int) (shape[1] * shape[2]);
        int channels = (int) shape[3];
        float[] found = new float[values.length];
        for (int index = 0; index < count; index++) {
            for (int channel = 0; channel < channels; channel++) {
                found[channel * count + index] = values[index * channels + channel];
            }
        }
        return found;
    }
}
