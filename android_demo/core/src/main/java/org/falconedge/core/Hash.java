package org.falconedge.core;

import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;

/** Bytes of files, and their SHA-256. */
final class Hash {
    private static final int CHUNK = 1 << 16;
    private static final long LARGEST_ARRAY = Integer.MAX_VALUE - 8;

    private Hash() {}

    /**
     * All bytes of a stream, which is closed. Throws Message for more than `most`; `name` is the file's.
     *
     * <p>Memory is taken for what the stream has, never for what another file says that it has.
     */
    static byte[] read(InputStream stream, long most, String name) throws IOException, Message {
        long limit = Math.min(most, LARGEST_ARRAY);
        try (InputStream source = stream) {
            byte[] found = new byte[(int) Math.min(limit, Math.max(source.available(), CHUNK))];
            int count = 0;
            while (true) {
                int more = count < found.length ? source.read(found, count, found.length - count) : 0;
                if (more < 0) {
                    return Arrays.copyOf(found, count);
                }
                count += more;
                if (count == found.length) {
                    int next = source.read();
                    if (next < 0) {
                        return found;
                    }
                    if (count >= limit) {
                        throw new Message(name + ": has more than the " + limit + " bytes that it may have");
                    }
                    found = Arrays.copyOf(found, (int) Math.min(limit, 2L * count + CHUNK));
                    found[count++] = (byte) next;
                }
            }
        } catch (OutOfMemoryError error) {
            throw new Message(name + ": too large for the memory of this app", error);
        }
    }

    /** In lower-case hexadecimal digits. */
    static String sha256(byte[] data) {
        try {
            StringBuilder out = new StringBuilder();
            for (byte each : MessageDigest.getInstance("SHA-256").digest(data)) {
                out.append(Character.forDigit(each >> 4 & 15, 16)).append(Character.forDigit(each & 15, 16));
            }
            return out.toString();
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException(error); // every Java has it
        }
    }
}
