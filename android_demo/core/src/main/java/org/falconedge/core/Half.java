package org.falconedge.core;

/** float16, whose bits Java has in a short. */
final class Half {
    private Half() {}

    /** The nearest float16 of a number; of two as near the one with an even last bit. */
    static short of(double value) {
        long bits = Double.doubleToRawLongBits(value);
        int sign = (int) (bits >>> 48) & 0x8000;
        if (Double.isNaN(value)) {
            return (short) (sign | 0x7e00 | (int) (bits >>> 42) & 0x1ff);
        }
        double size = Math.abs(value);
        if (size >= 65520) { // half of a step above the largest
            return (short) (sign | 0x7c00);
        }
        if (size < 0x1p-14) { // steps of 2^-24 up to the smallest normal number, which follows the last of them
            return (short) (sign | (int) Math.rint(size * 0x1p24));
        }
        int exponent = Math.getExponent(size);
        int steps = (int) Math.rint(Math.scalb(size, 10 - exponent)); // 1024 to 2048, which is the next exponent's 1024
        return (short) (sign | ((exponent + 15 << 10) + steps - 1024));
    }

    /** The number that a float16 is. */
    static float real(short half) {
        int exponent = half >> 10 & 31;
        int fraction = half & 0x3ff;
        float size;
        if (exponent == 31) {
            size = fraction == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
        } else if (exponent == 0) {
            size = fraction * 0x1p-24f;
        } else {
            size = Math.scalb((float) (1024 + fraction), exponent - 25);
        }
        return half < 0 ? -size : size;
    }
}
