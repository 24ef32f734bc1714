package org.falconedge.demo.screens;

import java.util.List;
import org.falconedge.core.Image;

/** What a model says of an image, in words, and how long it took. */
public final class Answer {
    /** A class, and how sure the model is of it. */
    public static final class Line {
        public final String label;
        public final int percent;
        public final String text;

        Line(String label, int percent, String text) {
            this.label = label;
            this.percent = percent;
            this.text = text;
        }
    }

    /** The model, its runtime and what ran it. */
    public final String title;

    /** Before, in and after the inference. */
    public final String latency;

    /** The likeliest classes, the likeliest first; empty where the model answers with something else. */
    public final List<Line> lines;

    /** What the model was shown, with its map over it; null where it answers with something else. */
    public final Image picture;

    /** All of it, as it is read out and where there are no lines and no picture. */
    public final String words;

    final double inferenceNs;

    Answer(String title, String latency, List<Line> lines, Image picture, String words, double inferenceNs) {
        this.title = title;
        this.latency = latency;
        this.lines = lines;
        this.picture = picture;
        this.words = words;
        this.inferenceNs = inferenceNs;
    }
}
