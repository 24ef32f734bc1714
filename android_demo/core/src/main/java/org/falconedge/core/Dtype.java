package org.falconedge.core;

/** The types of numbers in tensors, under the names that NumPy and the worker's replies have for them. */
public enum Dtype {
    BOOL("bool", 1),
    INT8("int8", 1),
    UINT8("uint8", 1),
    INT16("int16", 2),
    UINT16("uint16", 2),
    INT32("int32", 4),
    UINT32("uint32", 4),
    INT64("int64", 8),
    UINT64("uint64", 8),
    FLOAT16("float16", 2),
    FLOAT32("float32", 4),
    FLOAT64("float64", 8);

    /** As in "float32". */
    public final String text;

    /** Of one number. */
    public final int bytes;

    Dtype(String text, int bytes) {
        this.text = text;
        this.bytes = bytes;
    }

    /** Whether it has fractions. */
    public boolean isFloat() {
        return this == FLOAT16 || this == FLOAT32 || this == FLOAT64;
    }

    /** The lowest value of int8 and uint8. */
    public int lowest() {
        return this == INT8 ? -128 : 0;
    }

    @Override
    public String toString() {
        return text;
    }
}
