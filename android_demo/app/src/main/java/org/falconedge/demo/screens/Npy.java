package org.falconedge.demo.screens;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.falconedge.core.Image;

/** Images as a .npy file: uint8 (images, height, width, channels). */
final class Npy {
    private static final int ALIGNED = 64;
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};

    private Npy() {}

    /** Write images, of which there is one at least, and which are all of one size. */
    static void write(File file, List<Image> images) throws IOException {
        Image first = images.get(0);
        StringBuilder header = new StringBuilder("{'descr': '|u1', 'fortran_order': False, 'shape': (");
        header.append(images.size()).append(", ").append(first.height).append(", ").append(first.width);
        header.append(", ").append(first.channels).append("), }");
        while ((MAGIC.length + 2 + header.length() + 1) % ALIGNED != 0) {
            header.append(' ');
        }
        header.append('\n');
        try (OutputStream stream = new BufferedOutputStream(new FileOutputStream(file))) {
            stream.write(MAGIC);
            stream.write(header.length());
            stream.write(header.length() >> 8);
            stream.write(header.toString().getBytes(StandardCharsets.US_ASCII));
            for (Image image : images) {
                stream.write(image.pixels);
            }
        }
    }
}
