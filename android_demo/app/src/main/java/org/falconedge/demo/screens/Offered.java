package org.falconedge.demo.screens;

import java.io.File;
import java.io.FileNotFoundException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Which files other apps may be given, one by one, and under what path: those that lie in a few folders, no others. */
public final class Offered {
    private static final Pattern PATH = Pattern.compile("/?(\\d)/([0-9A-Za-z_-][0-9A-Za-z_.-]*)");

    private final File[] folders;

    /** Folders; null: this device has no such place. */
    public Offered(File... folders) {
        this.folders = folders.clone();
    }

    /** The path of a file. Throws IllegalArgumentException for one that lies elsewhere. */
    public String path(File file) {
        for (int place = 0; place < folders.length; place++) {
            String path = place + "/" + file.getName();
            if (file.getParentFile().equals(folders[place]) && PATH.matcher(path).matches()) {
                return path;
            }
        }
        throw new IllegalArgumentException(file + " is not offered");
    }

    /** The file of a path. */
    public File file(String path) throws FileNotFoundException {
        Matcher matcher = PATH.matcher(path == null ? "" : path);
        int place = matcher.matches() ? Integer.parseInt(matcher.group(1)) : folders.length;
        File file = place < folders.length ? new File(folders[place], matcher.group(2)) : null;
        if (file == null || folders[place] == null || !file.isFile()) {
            throw new FileNotFoundException(path + " is not offered");
        }
        return file;
    }
}
