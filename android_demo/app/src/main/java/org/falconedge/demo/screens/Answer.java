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

    /** The likeliest classes of the first output that has classes; empty where none has. */
    public final List<Line> lines;

    /** The image with the first map over it; null where there is none. */
    public final Image picture;

    /** What is in no line: of maps the shares of their classes, of all else the numbers; a line for each output. */
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
