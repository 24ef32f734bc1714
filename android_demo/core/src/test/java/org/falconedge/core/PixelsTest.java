package org.falconedge.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;
import java.util.List;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

public class PixelsTest {
    private static InputSpec spec(String steps) throws Message {
        String about = "{\"shape\": [1, 2, 2], \"mean\": [0.5], \"std\": [0.25], \"steps\": " + steps + "}";
        return InputSpec.read(Fields.of(about, "input"));
    }

    private static void refused(final Image image, final String steps, String expected) {
        Message error = assertThrows(Message.class, new ThrowingRunnable() {
            @Override
            public void run() throws Throwable {
                Pixels.prepare(image, spec(steps));
            }
        });
        assertTrue(error.getMessage(), error.getMessage().contains(expected));
    }

    @Test
    public void vectorsOfTheSpecificationAreReproduced() throws Exception {
        List<?> cases = (List<?>) Json.parse(Documents.text("conformance/preprocessing.json"));
        assertTrue(cases.size() > 10);
        for (Object each : cases) {
            Fields vector = new Fields(each, "vector");
            int[] shape = vector.sizes("image_shape", 1, 10_000);
            Image image = new Image(shape[1], shape[0], shape[2], Base64.getDecoder().decode(vector.text("image")));
            InputSpec spec = InputSpec.read(vector.object("spec"));
            Image prepared = Pixels.prepare(image, spec);
            assertArrayEquals(Base64.getDecoder().decode(vector.text("pixels")), prepared.pixels);
            float[] values = Pixels.normalise(prepared, spec.mean, spec.std);
            ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asFloatBuffer().put(values);
            assertArrayEquals(Base64.getDecoder().decode(vector.text("input")), bytes.array());
        }
    }

    @Test
    public void colourIsTakenOutOfAndroidsNumbers() {
        Image image = Image.fromArgb(new int[] {0x80010203, 0xfffefdfc}, 2, 1);
        assertArrayEquals(new byte[] {1, 2, 3, (byte) 254, (byte) 253, (byte) 252}, image.pixels);
    }

    @Test
    public void anOrientationThatIsNoneChangesNothing() {
        Image image = new Image(2, 1, 1, new byte[] {1, 2});
        assertSame(image, Pixels.upright(image, 0));
        assertSame(image, Pixels.upright(image, 9));
        assertArrayEquals(new byte[] {2, 1}, Pixels.upright(image, 2).pixels);
        assertEquals(2, Pixels.upright(image, 6).height);
    }

    @Test
    public void anImageThatDoesNotFitIsAMessage() {
        refused(new Image(3, 2, 1, new byte[6]), "[]", "2 x 3 x 1");
        refused(new Image(2, 2, 3, new byte[12]), "[]", "takes 2 x 2 x 1");
    }

    @Test
    public void sizesThatWouldFillTheMemoryAreAMessage() {
        Image thin = new Image(1 << 20, 1, 1, new byte[1 << 20]);
        refused(thin, "[{\"op\": \"resize_shorter\", \"size\": 32768}]", "too large");
        String pad = "[{\"op\": \"pad\", \"left\": 32768, \"top\": 32768, \"right\": 32768, \"bottom\": 32768}]";
        refused(new Image(2, 2, 1, new byte[4]), pad, "too large");
        refused(new Image(2, 2, 1, new byte[4]), "[{\"op\": \"resize\", \"height\": 32769, \"width\": 1}]", "32768");
    }

    @Test
    public void aPhotoIsBroughtToAnInputWhoseStepsAreForOtherImages() throws Message {
        Image photo = new Image(40, 30, 3, new byte[3600]);
        Image prepared = Pixels.prepare(photo, Pixels.fitting(spec("[]"), photo));
        assertEquals("2 x 2 x 1", prepared.toString());
        InputSpec fits = spec("[]");
        assertSame(fits, Pixels.fitting(fits, new Image(2, 2, 1, new byte[4])));
    }

    @Test
    public void anInputHasTheLayoutAndTheTypeOfTheFile() throws Message {
        Tensor nhwc = new Tensor("input", Dtype.UINT8, new long[] {1, 1, 2, 2}, "NHWC", 0.5, 10);
        ByteBuffer bytes = Pixels.input(new float[] {1, 2, 3, 4}, nhwc);
        assertEquals(4, bytes.remaining());
        assertArrayEquals(
                new int[] {12, 16, 14, 18}, new int[] {bytes.get(0), bytes.get(1), bytes.get(2), bytes.get(3)});
        Tensor nchw = new Tensor("input", Dtype.FLOAT32, new long[] {1, 2, 1, 2}, "NCHW", 0, 0);
        assertEquals(3f, Pixels.input(new float[] {1, 2, 3, 4}, nchw).getFloat(8), 0);
    }

    @Test
    public void anIntegerInputWithoutAScaleIsAMessage() {
        final Tensor tensor = new Tensor("input", Dtype.INT8, new long[] {1, 1, 1, 1}, "NCHW", 0, 0);
        Message error = assertThrows(Message.class, new ThrowingRunnable() {
            @Override
            public void run() throws Throwable {
                Pixels.input(new float[] {1}, tensor);
            }
        });
        assertEquals("the file's input is int8 without a scale", error.getMessage());
    }
}
