package org.falconedge.demo.screens;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** Images in folders named by their classes, or in one folder. */
public final class Folder {
    /** A file or a folder, wherever it lies. */
    public interface Entry {
        String name();

        /** What is in a folder; null: it is a file. */
        List<? extends Entry> entries() throws IOException;

        ClassifyScreen.Picture picture();
    }

    /** How a file becomes an image. */
    public interface Decoder {
        ClassifyScreen.Picture picture(File file);
    }

    private static final Set<String> SUFFIXES = new HashSet<>(
            Arrays.asList("jpg", "jpeg", "png", "bmp", "webp", "gif", "heic", "heif", "avif"));
    private static final int DEEPEST = 4;

    private Folder() {}

    /** The images below the first of these folders that has some, in the order of their names. */
    public static List<AccuracyScreen.Named> images(Decoder decoder, File... folders) throws IOException {
        List<AccuracyScreen.Named> found = Collections.emptyList();
        for (File folder : folders) {
            if (folder != null && found.isEmpty()) {
                found = images(new OfFiles(folder, decoder));
            }
        }
        return found;
    }

    /** The images below a folder, in the order of their names. */
    public static List<AccuracyScreen.Named> images(Entry folder) throws IOException {
        List<AccuracyScreen.Named> found = new ArrayList<>();
        add(folder.entries(), "", 0, found);
        return found;
    }

    private static void add(
            List<? extends Entry> entries, String path, int depth, List<AccuracyScreen.Named> found)
            throws IOException {
        if (entries == null || depth > DEEPEST) {
            return;
        }
        List<Entry> sorted = new ArrayList<>(entries);
        Collections.sort(sorted, (one, other) -> one.name().compareTo(other.name()));
        for (Entry entry : sorted) {
            String name = entry.name();
            if (name.startsWith(".")) {
                continue;
            }
            List<? extends Entry> inside = entry.entries();
            if (inside != null) {
                add(inside, path + name + "/", depth + 1, found);
            } else if (SUFFIXES.contains(name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT))) {
                found.add(new AccuracyScreen.Named(path + name, entry.picture()));
            }
        }
    }

    private static final class OfFiles implements Entry {
        private final File file;
        private final Decoder decoder;

        OfFiles(File file, Decoder decoder) {
            this.file = file;
            this.decoder = decoder;
        }

        @Override
        public String name() {
            return file.getName();
        }

        @Override
        public List<Entry> entries() {
            String[] names = file.list();
            if (names == null) {
                return null;
            }
            List<Entry> entries = new ArrayList<>();
            for (String name : names) {
                entries.add(new OfFiles(new File(file, name), decoder));
            }
            return entries;
        }

        @Override
        public ClassifyScreen.Picture picture() {
            return decoder.picture(file);
        }
    }
}
