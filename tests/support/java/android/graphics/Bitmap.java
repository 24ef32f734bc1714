package android.graphics;

import java.nio.Buffer;
import java.nio.ByteBuffer;

public final class Bitmap {
    public enum Config {
        ARGB_8888
    }

    public final int[] argb;
    private final int width;
    private final int height;

    private Bitmap(int[] argb, int width, int height) {
        this.argb = argb;
        this.width = width;
        this.height = height;
    }

    public static Bitmap createBitmap(int[] colours, int width, int height, Config config) {
        return new Bitmap(colours.clone(), width, height);
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return height;
    }

    public Config getConfig() {
        return Config.ARGB_8888;
    }

    public int getRowBytes() {
        return 4 * width;
    }

    public int getByteCount() {
        return 4 * argb.length;
    }

    /** Red comes first in memory. */
    public void copyPixelsToBuffer(Buffer buffer) {
        for (int colour : argb) {
            for (int shift : new int[] {16, 8, 0, 24}) {
                ((ByteBuffer) buffer).put((byte) (colour >> shift));
            }
        }
    }

    public void recycle() {}
}
