package org.falconedge.core;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A .npy file of images: uint8 (N, H, W, C), or float32 (N, C, H, W), which are prepared already. */
final class Npy implements Closeable {
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
    private static final int LONGEST_HEADER = 1 << 16;
    private static final Pattern SHAPE = Pattern.compile(
            "'shape': *\\( *(\\d{1,10}), *(\\d{1,10}), *(\\d{1,10}), *(\\d{1,10}),? *\\)");

    final long images;
    final int height;
    final int width;
    final int channels;

    private final RandomAccessFile file;
    private final boolean prepared;
    private final long start;

    /** Throws Message for a file that is none. */
    Npy(File path) throws IOException, Message {
        file = new RandomAccessFile(path, "r");
        try {
            String header = header();
            Matcher shape = SHAPE.matcher(header);
            prepared = header.contains("'<f4'");
            boolean known = prepared || header.contains("'|u1'") || header.contains("'u1'");
            if (!known || header.contains("'fortran_order': True") || !shape.find()) {
                throw new Message(path + ": not a .npy file of images, uint8 (N, H, W, C) or float32 (N, C, H, W)");
            }
            long[] sizes = new long[4];
            for (int axis = 0; axis < sizes.length; axis++) {
                sizes[axis] = Long.parseLong(shape.group(axis + 1));
            }
            images = sizes[0];
            double size = (double) sizes[1] * sizes[2] * sizes[3] * (prepared ? 4 : 1);
            start = file.getFilePointer();
            if (size > Step.MOST_BYTES || images * size > file.length() - start) {
                throw new Message(path + ": cut off, or not as large as its header says");
            }
            height = (int) sizes[prepared ? 2 : 1];
            width = (int) sizes[prepared ? 3 : 2];
            channels = (int) sizes[prepared ? 1 : 3];
        } catch (IOException | Message error) {
            file.close();
            throw error;
        }
    }

    /** An image by its number as float32 NCHW: normalised, if it is not prepared already. */
    float[] input(long number, float[] mean, float[] std) throws IOException, Message {
        if (!prepared && (mean.length != channels || std.length != channels)) {
            throw new Message("images of " + channels + " channels, and another number of means");
        }
        byte[] data = new byte[height * width * channels * (prepared ? 4 : 1)];
        file.seek(start + number * data.length);
        file.readFully(data);
        if (!prepared) {
            return Pixels.normalise(new Image(width, height, channels, data), mean, std);
        }
        float[] values = new float[data.length / 4];
        ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
        return values;
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    /** The text before the numbers; an empty one where there is none. */
    private String header() throws IOException {
        byte[] magic = new byte[MAGIC.length];
        if (file.length() < 12) {
            return "";
        }
        file.readFully(magic);
        int version = file.read();
        file.read();
        int length = file.read() | file.read() << 8;
        if (version > 1) {
            length |= file.read() << 16 | file.read() << 24;
        }
        boolean known = Arrays.equals(magic, MAGIC) && length > 0 && length <= LONGEST_HEADER;
        if (!known || length > file.length() - file.getFilePointer()) {
            return "";
        }
        byte[] header = new byte[length];
        file.readFully(header);
        return new String(header, "ISO-8859-1");
    }
}
