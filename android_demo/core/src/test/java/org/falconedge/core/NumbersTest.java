package org.falconedge.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import org.junit.Test;

/** Quantized numbers, float16, statistics and orders. */
public class NumbersTest {
    private static final float[] TIES = {0.25f, 0.75f, -0.25f, 1.25f, 100f, -100f, Float.NaN, 1e30f};

    @Test
    public void aHalfGoesToTheEvenNeighbourAndWhatIsTooLargeIsClipped() {
        assertArrayEquals(
                new byte[] {1, 3, 1, 3, 127, -128, 0, 127}, Quantization.quantize(TIES, 0.5f, 1, Dtype.INT8));
        assertArrayEquals(
                new byte[] {(byte) 128, (byte) 130, (byte) 128, (byte) 130, -1, 0, 0, -1},
                Quantization.quantize(TIES, 0.5f, 128, Dtype.UINT8));
    }

    @Test
    public void integersAreReadAsTheyWereMeant() {
        byte[] values = {-128, 0, 127, -1};
        assertArrayEquals(
                new float[] {-64.5f, -0.5f, 63f, -1f}, Quantization.real(values, 0.5f, 1, Dtype.INT8), 0);
        assertArrayEquals(new float[] {0f, -64f, -0.5f, 63.5f}, Quantization.real(values, 0.5f, 128, Dtype.UINT8), 0);
    }

    @Test
    public void everyHalfIsItself() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = Half.real((short) bits);
            if (!Float.isNaN(value)) {
                assertEquals((short) bits, Half.of(value));
            }
        }
    }

    @Test
    public void betweenTwoHalvesTheNearerIsTakenOrTheEvenOne() {
        for (int bits = 0; bits < 0x7bff; bits++) {
            double low = Half.real((short) bits);
            double high = Half.real((short) (bits + 1));
            double middle = (low + high) / 2;
            assertEquals(bits + (bits & 1), Half.of(middle));
            assertEquals(bits, Half.of(Math.nextDown(middle)));
            assertEquals(bits + 1, Half.of(Math.nextUp(middle)));
        }
        assertEquals(0x7bff, Half.of(65519.999));
        assertEquals(0x7c00, Half.of(65520));
        assertEquals((short) 0xfc00, Half.of(Double.NEGATIVE_INFINITY));
        assertEquals((short) 0x8000, Half.of(-1e-300));
        assertEquals(0x7e00, Half.of(Double.NaN));
    }

    @Test
    public void percentilesAreLinear() {
        Summary summary = Statistics.summary(new long[] {4, 1, 3, 2});
        assertEquals(1.75, summary.p25, 0);
        assertEquals(2.5, summary.p50, 0);
        assertEquals(3.7, summary.p90, 1e-15);
        assertEquals(1.5, summary.iqr, 0);
        assertEquals(7, Statistics.summary(new long[] {7}).p99, 0);
    }

    @Test
    public void ofEqualOnesTheFirstComesFirst() {
        float[] scores = {1, 3, Float.NaN, 3, 2, 3};
        assertArrayEquals(new int[] {1, 3, 5, 4}, Outputs.topK(scores, 4));
        assertArrayEquals(new int[] {1, 3, 5, 4, 0, 2}, Outputs.topK(scores, 99));
        assertEquals(0, Outputs.topK(scores, 0).length);
        assertEquals(0, Outputs.topK(new float[0], 3).length);
        assertEquals(2, Outputs.argmax(scores));
        assertEquals(1, Outputs.argmax(new float[] {1, 3, 3}));
    }

    @Test
    public void sharesAddUpToOne() {
        float[] shares = Outputs.softmax(new float[] {1000, 1000, 0});
        assertArrayEquals(new float[] {0.5f, 0.5f, 0}, shares, 0);
    }

    @Test
    public void mapsAreReadByPixels() {
        float[] map = {1, 5, 2, 5, 0, 9};
        assertArrayEquals(new int[] {1, 0, 2}, Outputs.classes(new float[] {0, 5, 2, 1, 5, 2, 0, 4, 9}, 3, 1, 3));
        assertEquals("3 x 2: 1.000, 5.000, 2.000, 5.000, 0.000, 9.000", Outputs.text(map, new int[] {3, 2}));
    }
}
