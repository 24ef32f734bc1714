package org.falconedge.core;

/** Real numbers as int8 or uint8, and back (docs/formats.md). */
public final class Quantization {
    private Quantization() {}

    /** round(x / scale) + zero point, the quotient in float32, a half to the even neighbour, clipped. */
    public static byte[] quantize(float[] values, float scale, int zeroPoint, Dtype dtype) {
        throw new UnsupportedOperationException();
    }

    /** scale (q - zero point), in float32. */
    public static float[] real(byte[] values, float scale, int zeroPoint, Dtype dtype) {
        throw new UnsupportedOperationException();
    }
}
