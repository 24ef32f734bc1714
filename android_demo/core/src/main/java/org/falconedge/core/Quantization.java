package org.falconedge.core;

/** Real numbers as int8 or uint8, and back (docs/formats.md). */
public final class Quantization {
    private Quantization() {}

    /** round(x / scale) + zero point, the quotient in float32, a half to the even neighbour, clipped. */
    public static byte[] quantize(float[] values, float scale, int zeroPoint, Dtype dtype) {
        int lowest = lowest(dtype);
        byte[] found = new byte[values.length];
        for (int index = 0; index < found.length; index++) {
            float value = (float) Math.rint(values[index] / scale) + zeroPoint;
            found[index] = (byte) Math.max(lowest, Math.min(lowest + 255, value));
        }
        return found;
    }

    /** scale (q - zero point), in float32. */
    public static float[] real(byte[] values, float scale, int zeroPoint, Dtype dtype) {
        boolean signed = lowest(dtype) < 0;
        float[] found = new float[values.length];
        for (int index = 0; index < found.length; index++) {
            found[index] = ((float) (signed ? values[index] : values[index] & 255) - zeroPoint) * scale;
        }
        return found;
    }

    private static int lowest(Dtype dtype) {
        if (dtype != Dtype.INT8 && dtype != Dtype.UINT8) {
            throw new IllegalArgumentException(dtype + " is no type of quantized numbers");
        }
        return dtype.lowest();
    }
}
