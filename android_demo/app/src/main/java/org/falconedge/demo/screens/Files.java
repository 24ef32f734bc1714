package org.falconedge.demo.screens;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** Small text files, whole or not there. */
public final class Files {
    private static final int LARGEST = 64 << 20;

    private Files() {}

    /** Write a file under another name and rename it: nobody sees half of it. Its folder is made. */
    public static void replace(File file, String text) throws IOException {
        folder(file.getParentFile());
        File part = new File(file.getPath() + ".part");
        try (FileOutputStream stream = new FileOutputStream(part)) {
            stream.write(text.getBytes(StandardCharsets.UTF_8));
            stream.getFD().sync();
        }
        if (!part.renameTo(file)) {
            part.delete();
            throw new IOException(file.getName() + " cannot be put into " + file.getParent());
        }
    }

    /** The text of a file of at most 64 MB. */
    public static String text(File file) throws IOException {
        if (file.length() > LARGEST) {
            throw new IOException(file.getName() + " is too large");
        }
        try (InputStream stream = new FileInputStream(file)) {
            return new String(bytes(stream, LARGEST), StandardCharsets.UTF_8);
        }
    }

    /** All bytes of a stream, of which there may be so many. */
    public static byte[] bytes(InputStream stream, int most) throws IOException {
        ByteArrayOutputStream found = new ByteArrayOutputStream();
        byte[] buffer = new byte[1 << 16];
        for (int count; (count = stream.read(buffer)) >= 0; ) {
            if (count > most - found.size()) {
                throw new IOException("more than " + most + " bytes");
            }
            found.write(buffer, 0, count);
        }
        return found.toByteArray();
    }

    /** Make a folder, and those that it lies in. */
    public static void folder(File folder) throws IOException {
        if (!folder.isDirectory() && !folder.mkdirs() && !folder.isDirectory()) {
            throw new IOException(folder + " cannot be made");
        }
    }
}
