package org.tensorflow.lite;

/** A tensor of an interpreter. */
public interface Tensor {
    /** real = scale (q - zero point); scale is 0 for what is not quantized. */
    class QuantizationParams {
        private final float scale;
        private final int zeroPoint;

        public QuantizationParams(float scale, int zeroPoint) {
            this.scale = scale;
            this.zeroPoint = zeroPoint;
        }

        public float getScale() {
            return scale;
        }

        public int getZeroPoint() {
            return zeroPoint;
        }
    }

    DataType dataType();

    int[] shape();

    int numBytes();

    String name();

    QuantizationParams quantizationParams();
}
