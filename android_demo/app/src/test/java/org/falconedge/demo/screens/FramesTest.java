package org.falconedge.demo.screens;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import java.nio.ByteBuffer;
import org.falconedge.core.Image;
import org.falconedge.core.Pixels;
import org.junit.Test;

/** A camera's frames as images: colours, strides, which way is up. */
public class FramesTest {
    private static Frames.Plane plane(int rowStride, int pixelStride, int... bytes) {
        ByteBuffer buffer = ByteBuffer.allocate(bytes.length);
        for (int each : bytes) {
            buffer.put((byte) each);
        }
        return new Frames.Plane(buffer, rowStride, pixelStride);
    }

    private static int[] pixel(int y, int u, int v) {
        Image image = Frames.rgb(1, 1, plane(1, 1, y), plane(1, 1, u), plane(1, 1, v));
        return new int[] {image.pixels[0] & 255, image.pixels[1] & 255, image.pixels[2] & 255};
    }

    @Test
    public void coloursOfJpeg() {
        assertArrayEquals(new int[] {0, 0, 0}, pixel(0, 128, 128));
        assertArrayEquals(new int[] {255, 255, 255}, pixel(255, 128, 128));
        assertArrayEquals(new int[] {254, 0, 0}, pixel(76, 85, 255));
        assertArrayEquals(new int[] {0, 255, 1}, pixel(150, 44, 21));
        assertArrayEquals(new int[] {0, 0, 254}, pixel(29, 255, 107));
    }

    /** By the equations in floating point, each of 17 x 9 x 9 colours. */
    @Test
    public void everyColourIsRounded() {
        for (int y = 0; y < 256; y += 15) {
            for (int u = 0; u < 256; u += 31) {
                for (int v = 0; v < 256; v += 31) {
                    double[] exact = {
                        y + 1.402 * (v - 128),
                        y - 0.344136286 * (u - 128) - 0.714136286 * (v - 128),
                        y + 1.772 * (u - 128)
                    };
                    int[] found = pixel(y, u, v);
                    for (int channel = 0; channel < 3; channel++) {
                        double value = Math.max(0, Math.min(exact[channel], 255));
                        assertEquals(value, found[channel], 0.502);
                    }
                }
            }
        }
    }

    /** Rows are longer than the image, and u and v lie between each other, as most phones have them. */
    @Test
    public void strides() {
        Frames.Plane y = plane(4, 1, 10, 20, 30, 0, 40, 50, 60, 0, 70, 80, 90, 0);
        Frames.Plane u = plane(6, 2, 128, 0, 128, 0, 0, 0, 128, 0, 128);
        Image image = Frames.rgb(3, 3, y, u, u);
        int[] light = {10, 20, 30, 40, 50, 60, 70, 80, 90};
        for (int place = 0; place < light.length; place++) {
            assertEquals(light[place], image.pixels[3 * place]);
        }
    }

    @Test
    public void uprightHoweverTheDeviceIsHeld() {
        assertEquals(6, Frames.orientation(90, 0, false)); // a phone held upright
        assertEquals(1, Frames.orientation(90, 90, false)); // on its side: the sensor's own way
        assertEquals(8, Frames.orientation(90, 180, false));
        assertEquals(3, Frames.orientation(90, 270, false));
        assertEquals(8, Frames.orientation(270, 0, true)); // the camera beside the screen
        assertEquals(1, Frames.orientation(270, 90, true));
        assertEquals(1, Frames.orientation(0, 0, false));
    }

    /** The sensor of a phone held upright sees the top at its left. */
    @Test
    public void theTopIsUp() {
        Image seen = new Image(2, 1, 1, new byte[] {1, 2}); // left: the top
        Image upright = Pixels.upright(seen, Frames.orientation(90, 0, false));
        assertEquals(1, upright.width);
        assertArrayEquals(new byte[] {1, 2}, upright.pixels); // the top first
    }
}
