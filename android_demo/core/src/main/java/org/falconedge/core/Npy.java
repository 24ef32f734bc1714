package org.falconedge.core;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A .npy file of images: uint8 (N, H, W, C). */
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
    private final long start;

    /** Throws Message for a file that is none. */
    Npy(File path) throws IOException, Message {
        file = new RandomAccessFile(path, "r");
        try {
            String header = header();
            Matcher shape = SHAPE.matcher(header);
            boolean bytes = header.contains("'|u1'") || header.contains("'u1'");
            if (!bytes || header.contains("'fortran_order': True") || !shape.find()) {
                throw new Message(path + ": not a .npy file of images, uint8 (N, H, W, C)");
            }
            images = Long.parseLong(shape.group(1));
            double size = 1;
            for (int axis = 2; axis <= 4; axis++) {
                size *= Long.parseLong(shape.group(axis));
            }
            start = file.getFilePointer();
            if (size > Step.MOST_BYTES || images * size > file.length() - start) {
                throw new Message(path + ": cut off, or not as large as its header says");
            }
            height = Integer.parseInt(shape.group(2));
            width = Integer.parseInt(shape.group(3));
            channels = Integer.parseInt(shape.group(4));
        } catch (IOException | Message error) {
            file.close();
            throw error;
        }
    }

    /** An image by its number. */
    Image image(long number) throws IOException {
        byte[] pixels = new byte[height * width * channels];
        file.seek(start + number * pixels.length);
        file.readFully(pixels);
        return new Image(width, height, channels, pixels);
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
        boolean known = java.util.Arrays.equals(magic, MAGIC) && length > 0 && length <= LONGEST_HEADER;
        if (!known || length > file.length() - file.getFilePointer()) {
            return "";
        }
        byte[] header = new byte[length];
        file.readFully(header);
        return new String(header, "ISO-8859-1");
    }
}
