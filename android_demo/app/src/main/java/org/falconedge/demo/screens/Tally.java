package org.falconedge.demo.screens;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.falconedge.core.Manifest;

/** What a model said of images: their classes, and how many of them are the ones that their folders are called by. */
final class Tally {
    private final Manifest manifest;
    private final int numbersAnImage;
    private final int bytesANumber;
    private final List<Object> names = new ArrayList<>();
    private final List<Object> targets = new ArrayList<>();
    private final List<Object> classes = new ArrayList<>();
    private int known;
    private int right;

    Tally(Manifest manifest) {
        this.manifest = manifest;
        Manifest.Output first = manifest.outputs.get(0);
        int count = 1;
        for (int axis = 1; axis < first.shape.length; axis++) {
            count *= first.shape[axis];
        }
        numbersAnImage = count;
        int labels = first.shape.length == 0 ? 1 : first.shape[0];
        bytesANumber = labels <= 1 << 8 ? 1 : labels <= 1 << 16 ? 2 : 4;
    }

    /** What was said of images of these names: what `evaluate` writes by the reduction "classes"; null: another one. */
    void add(List<String> images, byte[] found) {
        names.addAll(images);
        for (String image : images) {
            int wanted = label(image);
            targets.add(wanted < 0 ? null : wanted);
        }
        if (found == null || numbersAnImage != 1) {
            return; // no class, or one for every pixel
        }
        for (int place = 0; place < images.size(); place++) {
            int answer = 0;
            for (int part = bytesANumber - 1; part >= 0; part--) {
                answer = answer << 8 | found[place * bytesANumber + part] & 0xff;
            }
            classes.add(answer);
            Object wanted = targets.get(targets.size() - images.size() + place);
            known += wanted == null ? 0 : 1;
            right += Integer.valueOf(answer).equals(wanted) ? 1 : 0;
        }
    }

    int images() {
        return names.size();
    }

    /** Of how many images the class is known. */
    int known() {
        return known;
    }

    /** Of how many of these it is what the model said. */
    int right() {
        return right;
    }

    /** What is known of every image: its name, the class that its folder is called by, and what the model said. */
    void tell(Map<String, Object> document) {
        document.put("images", names);
        document.put("targets", targets);
        document.put("classes", classes.isEmpty() ? null : classes);
    }

    /** The class that an image's folder is called by, whatever its case and spaces where no other is; -1: none. */
    private int label(String name) {
        int end = name.lastIndexOf('/');
        String folder = end < 0 ? "" : name.substring(name.lastIndexOf('/', end - 1) + 1, end);
        int found = manifest.labels.indexOf(folder);
        for (int place = 0; found < 0 && !folder.isEmpty() && place < manifest.labels.size(); place++) {
            found = plain(manifest.labels.get(place)).equals(plain(folder)) ? place : -1;
        }
        return found;
    }

    private static String plain(String name) {
        return name.toLowerCase(Locale.ROOT).replaceAll("[\\s_/-]+", "");
    }
}
