package org.tensorflow.lite;

/** Compiled against, never shipped: the class of LiteRT's AAR that has this name. */
public enum DataType {
    FLOAT32,
    INT32,
    UINT8,
    INT64,
    STRING,
    BOOL,
    INT16,
    INT8;

    public int byteSize() {
        throw new UnsupportedOperationException();
    }
}
