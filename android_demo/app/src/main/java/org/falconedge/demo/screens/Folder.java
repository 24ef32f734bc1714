package org.falconedge.demo.screens;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** Images in folders named by their classes, or in one folder. */
public final class Folder {
    /** How a file becomes an image. */
    public interface Decoder {
        ClassifyScreen.Picture picture(File file);
    }

    private static final Set<String> SUFFIXES = new HashSet<>(
            Arrays.asList("jpg", "jpeg", "png", "bmp", "webp", "gif", "heic", "heif", "avif"));
    private static final int DEEPEST = 4;

    private Folder() {}

    /** The images below the first of these folders that has some, in the order of their names. */
    public static List<AccuracyScreen.Named> images(Decoder decoder, File... folders) {
        List<AccuracyScreen.Named> found = new ArrayList<>();
        for (File folder : folders) {
            if (folder != null && found.isEmpty()) {
                add(folder, "", 0, decoder, found);
            }
        }
        return found;
    }

    private static void add(
            File folder, String path, int depth, Decoder decoder, List<AccuracyScreen.Named> found) {
        String[] names = folder.list((where, name) -> !name.startsWith("."));
        if (names == null || depth > DEEPEST) {
            return;
        }
        Arrays.sort(names);
        for (String name : names) {
            File file = new File(folder, name);
            if (file.isDirectory()) {
                add(file, path + name + "/", depth + 1, decoder, found);
            } else if (SUFFIXES.contains(name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT))) {
                found.add(new AccuracyScreen.Named(path + name, decoder.picture(file)));
            }
        }
    }
}
