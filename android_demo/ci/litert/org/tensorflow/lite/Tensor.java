package org.tensorflow.lite;

import java.nio.ByteBuffer;

/** Compiled against, never shipped: the interface of LiteRT's AAR that has this name. */
public interface Tensor {
    DataType dataType();

    int numDimensions();

    int numBytes();

    int numElements();

    int[] shape();

    int[] shapeSignature();

    int index();

    String name();

    QuantizationParams quantizationParams();

    ByteBuffer asReadOnlyBuffer();

    /** Scale and zero point of a whole tensor. */
    class QuantizationParams {
        public QuantizationParams(float scale, int zeroPoint) {}

        public float getScale() {
            throw new UnsupportedOperationException();
        }

        public int getZeroPoint() {
            throw new UnsupportedOperationException();
        }
    }
}
