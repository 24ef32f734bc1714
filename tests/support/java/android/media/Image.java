package android.media;

import java.nio.ByteBuffer;

public class Image implements AutoCloseable {
    public static class Plane {
        private final ByteBuffer bytes;

        Plane(int... bytes) {
            this.bytes = ByteBuffer.allocate(bytes.length);
            for (int each : bytes) {
                this.bytes.put((byte) each);
            }
            this.bytes.rewind();
        }

        public ByteBuffer getBuffer() {
            return bytes;
        }

        public int getRowStride() {
            return (int) Math.sqrt(bytes.capacity());
        }

        public int getPixelStride() {
            return 1;
        }
    }

    private final int[] pixels;

    Image(int... pixels) {
        this.pixels = pixels;
    }

    public int getWidth() {
        return (int) Math.sqrt(pixels.length);
    }

    public int getHeight() {
        return getWidth();
    }

    public Plane[] getPlanes() {
        return new Plane[] {new Plane(pixels), new Plane(128), new Plane(128)};
    }

    @Override
    public void close() {}
}
