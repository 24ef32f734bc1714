package org.tensorflow.lite;

/** The types of tensors. */
public enum DataType {
    FLOAT32,
    INT32,
    UINT8,
    INT64,
    STRING,
    BOOL,
    INT16,
    INT8
}
