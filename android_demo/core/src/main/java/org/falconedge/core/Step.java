package org.falconedge.core;

import java.util.Arrays;

/** One step of the pre-processing (docs/formats.md): integers alone. */
public abstract class Step {
    /** Bytes of an image that a step may make: 22 megapixels of colour. */
    static final long MOST_BYTES = 1 << 26;

    private Step() {}

    /** Height and width after this step, of an image that has these. */
    abstract long[] size(long height, long width);

    /** Where pixels lie after this step, of an image of such a size; here it is the size that changes. */
    Placement placed(Placement before, int height, int width) {
        long[] size = size(height, width);
        return before.then(
                (int) size[0], (int) size[1], (double) size[0] / height, (double) size[1] / width, 0, 0);
    }

    /** Channels after this step. */
    int channels(int channels) {
        return channels;
    }

    /** The image after this step, whose size is known to be bearable. */
    abstract Image made(Image image, int height, int width);

    /** The image after this step. Throws Message where it would be too large, or nothing. */
    final Image apply(Image image) throws Message {
        long[] size = size(image.height, image.width);
        int channels = channels(image.channels);
        if (size[0] < 1 || size[1] < 1) {
            throw new Message("nothing is left of an image of " + image + " after a step of its input");
        }
        if ((double) size[0] * size[1] * channels > MOST_BYTES) {
            throw new Message("an image of " + image + " would become one of " + size[0] + " x " + size[1]
                    + ", which is too large");
        }
        return made(image, (int) size[0], (int) size[1]);
    }

    static Step read(Fields fields) throws Message {
        int most = InputSpec.MOST_PIXELS;
        switch (fields.oneOf("op", "channels", "pad", "resize", "resize_shorter", "crop")) {
            case "channels":
                int to = fields.size("to", 1, 3);
                if (to == 2) {
                    throw fields.wrong("to", "1 or 3 was expected");
                }
                return new Channels(to);
            case "pad":
                int left = fields.size("left", 0, most);
                int top = fields.size("top", 0, most);
                int right = fields.size("right", 0, most);
                int bottom = fields.size("bottom", 0, most);
                return new Pad(left, top, right, bottom, fields.has("value") ? fields.size("value", 0, 255) : 0);
            case "resize":
                return new Resize(fields.size("height", 1, most), fields.size("width", 1, most));
            case "resize_shorter":
                return new ResizeShorter(fields.size("size", 1, most));
            default:
                return new Crop(fields.size("height", 1, most), fields.size("width", 1, most));
        }
    }

    /** Grey repeated to three channels, or colour to grey by ITU-R 601-2 in integers. */
    static final class Channels extends Step {
        private final int to;

        Channels(int to) {
            this.to = to;
        }

        @Override
        long[] size(long height, long width) {
            return new long[] {height, width};
        }

        @Override
        int channels(int channels) {
            return to;
        }

        @Override
        Image made(Image image, int height, int width) {
            if (image.channels == to) {
                return image;
            }
            byte[] from = image.pixels;
            byte[] pixels = new byte[height * width * to];
            for (int index = 0; index < height * width; index++) {
                if (to == 3) {
                    Arrays.fill(pixels, 3 * index, 3 * index + 3, from[index]);
                } else {
                    int red = from[3 * index] & 255;
                    int green = from[3 * index + 1] & 255;
                    int blue = from[3 * index + 2] & 255;
                    pixels[index] = (byte) ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16);
                }
            }
            return new Image(width, height, to, pixels);
        }
    }

    /** A border of one value. */
    static final class Pad extends Step {
        private final int left;
        private final int top;
        private final int right;
        private final int bottom;
        private final int value;

        Pad(int left, int top, int right, int bottom, int value) {
            this.left = left;
            this.top = top;
            this.right = right;
            this.bottom = bottom;
            this.value = value;
        }

        @Override
        long[] size(long height, long width) {
            return new long[] {top + height + bottom, left + width + right};
        }

        @Override
        Placement placed(Placement before, int ofHeight, int ofWidth) {
            return before.then(top + ofHeight + bottom, left + ofWidth + right, 1, 1, top, left);
        }

        @Override
        Image made(Image image, int height, int width) {
            byte[] pixels = new byte[height * width * image.channels];
            Arrays.fill(pixels, (byte) value);
            copy(image, 0, 0, pixels, top, left, width, image.height, image.width);
            return new Image(width, height, image.channels, pixels);
        }
    }

    /** To exactly height x width, by the triangle filter. */
    static final class Resize extends Step {
        private final int height;
        private final int width;

        Resize(int height, int width) {
            this.height = height;
            this.width = width;
        }

        @Override
        long[] size(long ofHeight, long ofWidth) {
            return new long[] {height, width};
        }

        @Override
        Image made(Image image, int toHeight, int toWidth) {
            return Resampling.resized(image, toHeight, toWidth);
        }
    }

    /** The shorter side to `size`, the longer one in proportion, rounded down. */
    static final class ResizeShorter extends Step {
        private final int size;

        ResizeShorter(int size) {
            this.size = size;
        }

        @Override
        long[] size(long height, long width) {
            return height <= width
                    ? new long[] {size, size * width / height}
                    : new long[] {size * height / width, size};
        }

        @Override
        Image made(Image image, int toHeight, int toWidth) {
            return Resampling.resized(image, toHeight, toWidth);
        }
    }

    /** The centre; a smaller image gets a border of zeros first. */
    static final class Crop extends Step {
        private final int height;
        private final int width;

        Crop(int height, int width) {
            this.height = height;
            this.width = width;
        }

        @Override
        long[] size(long ofHeight, long ofWidth) {
            return new long[] {height, width};
        }

        @Override
        Image made(Image image, int toHeight, int toWidth) {
            byte[] pixels = new byte[height * width * image.channels];
            int top = first(height, image.height);
            int left = first(width, image.width);
            int rows = Math.min(height, image.height);
            int columns = Math.min(width, image.width);
            copy(
                    image,
                    Math.max(-top, 0),
                    Math.max(-left, 0),
                    pixels,
                    Math.max(top, 0),
                    Math.max(left, 0),
                    width,
                    rows,
                    columns);
            return new Image(width, height, image.channels, pixels);
        }

        @Override
        Placement placed(Placement before, int ofHeight, int ofWidth) {
            return before.then(height, width, 1, 1, first(height, ofHeight), first(width, ofWidth));
        }

        /** Where the first of so many pixels lies: below 0 where they are more than there is room for. */
        private static int first(int room, int pixels) {
            return room > pixels ? (room - pixels) / 2 : -half(pixels - room);
        }

        /** Half of it, to the even neighbour. */
        private static int half(int number) {
            int below = number / 2;
            return number % 2 == 0 ? below : below + (below & 1);
        }
    }

    /** Copy a window of an image into pixels of another width. */
    private static void copy(
            Image image,
            int fromTop,
            int fromLeft,
            byte[] pixels,
            int top,
            int left,
            int width,
            int rows,
            int columns) {
        int channels = image.channels;
        for (int row = 0; row < rows; row++) {
            int from = ((fromTop + row) * image.width + fromLeft) * channels;
            int to = ((top + row) * width + left) * channels;
            System.arraycopy(image.pixels, from, pixels, to, columns * channels);
        }
    }
}
