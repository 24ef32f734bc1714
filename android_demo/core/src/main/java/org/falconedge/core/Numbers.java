package org.falconedge.core;

import java.nio.ByteBuffer;

/** The numbers of a tensor, whatever their type, by their place in its bytes. */
final class Numbers {
    final int count;

    private final ByteBuffer bytes;
    private final Dtype dtype;

    /** Of all bytes of a buffer, which stays where it is. */
    Numbers(ByteBuffer bytes, Dtype dtype) {
        this.bytes = bytes.duplicate().order(java.nio.ByteOrder.nativeOrder());
        this.dtype = dtype;
        this.count = bytes.limit() / dtype.bytes;
    }

    /** As a double, which rounds integers of more than 53 bits. */
    double real(int place) {
        int at = place * dtype.bytes;
        switch (dtype) {
            case FLOAT16:
                return Half.real(bytes.getShort(at));
            case FLOAT32:
                return bytes.getFloat(at);
            case FLOAT64:
                return bytes.getDouble(at);
            case UINT64:
                long whole = whole(place);
                return whole >= 0 ? whole : 2.0 * (whole >>> 1 | whole & 1);
            default:
                return whole(place);
        }
    }

    /** Whether the number at one place is above that at another; as in NumPy, what is no number is the highest. */
    boolean above(int place, int other) {
        if (dtype.isFloat()) {
            double one = real(place);
            double two = real(other);
            return one > two || (Double.isNaN(one) && !Double.isNaN(two));
        }
        long flip = dtype == Dtype.UINT64 ? Long.MIN_VALUE : 0;
        return (whole(place) ^ flip) > (whole(other) ^ flip);
    }

    private long whole(int place) {
        int at = place * dtype.bytes;
        switch (dtype) {
            case BOOL:
            case UINT8:
                return bytes.get(at) & 255;
            case INT8:
                return bytes.get(at);
            case INT16:
                return bytes.getShort(at);
            case UINT16:
                return bytes.getShort(at) & 0xffff;
            case INT32:
                return bytes.getInt(at);
            case UINT32:
                return bytes.getInt(at) & 0xffffffffL;
            default:
                return bytes.getLong(at);
        }
    }
}
