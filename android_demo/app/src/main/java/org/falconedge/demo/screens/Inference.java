package org.falconedge.demo.screens;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.falconedge.core.Engine;
import org.falconedge.core.Image;
import org.falconedge.core.InputSpec;
import org.falconedge.core.Manifest;
import org.falconedge.core.Message;
import org.falconedge.core.Outputs;
import org.falconedge.core.Pixels;
import org.falconedge.core.Placement;
import org.falconedge.core.Statistics;
import org.falconedge.core.Tensor;

/** One image through one model, timed, and its answer in words. */
final class Inference {
    private static final int MOST_LINES = 5;
    private static final float SUM_TOLERANCE = 1e-3f;

    private final Image image;
    private final Choice choice;
    private final Engine engine;
    private final Manifest manifest;
    private final Texts texts;
    private final List<long[]> times = new ArrayList<>();
    private InputSpec spec;
    private List<float[]> outputs = Collections.emptyList();

    Inference(Image image, Choice choice, Engine engine, Texts texts) {
        this.image = image;
        this.choice = choice;
        this.engine = engine;
        this.manifest = choice.manifest;
        this.texts = texts;
    }

    /** Run it, and take the time of what comes before, of the inference, and of what comes after. */
    void run() throws Exception {
        long started = System.nanoTime();
        spec = Pixels.fitting(manifest.input, image);
        ByteBuffer input = Pixels.input(Pixels.prepare(image, spec), spec, engine.input());
        long before = System.nanoTime();
        List<ByteBuffer> found = engine.run(input);
        long after = System.nanoTime();
        outputs = read(found, engine.outputs());
        times.add(new long[] {before - started, after - before, System.nanoTime() - after});
    }

    /** Run it once without taking its time: a model's first inference is slower than all others. */
    void warmUp() throws Exception {
        run();
        times.clear();
    }

    /** The answer, with the medians of the times of all runs, of which there must be one. */
    Answer answer(String title) throws Message {
        double[] medians = new double[3];
        for (int part = 0; part < medians.length; part++) {
            long[] samples = new long[times.size()];
            for (int run = 0; run < samples.length; run++) {
                samples[run] = times.get(run)[part];
            }
            medians[part] = Statistics.percentile(Statistics.sorted(samples), 50);
        }
        String latency = texts.of(
                times.size() == 1 ? Text.LATENCY : Text.LATENCY_OF_SEVERAL,
                Numbers.milliseconds(medians[0]),
                Numbers.milliseconds(medians[1]),
                Numbers.milliseconds(medians[2]),
                times.size());
        List<Answer.Line> lines = Collections.emptyList();
        Image picture = null;
        List<String> words = new ArrayList<>();
        for (int place = 0; place < outputs.size(); place++) {
            Manifest.Output output = manifest.outputs.get(place);
            if (output.kind.equals("classes") && lines.isEmpty()) {
                lines = lines(outputs.get(place));
                continue;
            }
            if (output.kind.equals("map") && picture == null) {
                picture = picture(outputs.get(place), output.shape);
            }
            words.add((outputs.size() > 1 ? output.name + ": " : "") + words(outputs.get(place), output));
        }
        String ranBy = texts.of(Text.RAN_BY, title, engine.accelerator());
        return new Answer(ranBy, latency, lines, picture, Words.join("\n", words), medians[1]);
    }

    /** A map over the image: its classes, or the numbers of its only channel. */
    private Image picture(float[] map, int[] shape) {
        int[] colours = shape[0] > 1 ? Overlay.colours(classes(map, shape)) : Overlay.greys(map);
        Placement placement = Pixels.placement(image, spec);
        return Overlay.over(image, placement, spec.height, spec.width, colours, shape[2], shape[1]);
    }

    private static int[] classes(float[] map, int[] shape) {
        return Outputs.classes(map, shape[0], shape[1], shape[2]);
    }

    private String words(float[] values, Manifest.Output output) {
        if (output.kind.equals("classes")) {
            return words(lines(values));
        }
        boolean classes = output.kind.equals("map") && output.shape[0] > 1;
        return classes ? shares(classes(values, output.shape)) : Outputs.text(values, output.shape);
    }

    private List<float[]> read(List<ByteBuffer> found, List<Tensor> tensors) throws Message {
        if (found.size() != manifest.outputs.size()) {
            throw new Message(
                    texts.of(Text.OTHER_OUTPUTS, choice.export.file, found.size(), manifest.outputs.size()));
        }
        List<float[]> values = new ArrayList<>();
        for (int place = 0; place < found.size(); place++) {
            Manifest.Output output = manifest.outputs.get(place);
            float[] real = Outputs.real(
                    found.get(place), tensors.get(place), manifest.outputIntegers.get(output.name));
            long wanted = 1;
            for (int size : output.shape) {
                wanted *= size;
            }
            if (real.length != wanted) {
                throw new Message(texts.of(Text.OTHER_SIZE, choice.export.file, output.name, real.length, wanted));
            }
            values.add(real);
        }
        return values;
    }

    private List<Answer.Line> lines(float[] scores) {
        float[] shares = areShares(scores) ? scores : Outputs.softmax(scores);
        List<Answer.Line> lines = new ArrayList<>();
        for (int place : Outputs.topK(shares, Math.min(MOST_LINES, shares.length))) {
            float share = Float.isNaN(shares[place]) ? 0 : shares[place];
            lines.add(new Answer.Line(label(place), Math.round(100 * share), Numbers.percent(shares[place])));
        }
        return lines;
    }

    /** Whether a network has made shares of its scores itself. */
    private static boolean areShares(float[] scores) {
        float sum = 0;
        for (float score : scores) {
            if (!(score >= 0)) {
                return false;
            }
            sum += score;
        }
        return Math.abs(sum - 1) <= SUM_TOLERANCE;
    }

    private String label(int place) {
        String label = place < manifest.labels.size() ? manifest.labels.get(place) : "";
        return label.isEmpty() ? String.valueOf(place) : label;
    }

    private String words(List<Answer.Line> lines) {
        StringBuilder words = new StringBuilder();
        for (Answer.Line line : lines) {
            words.append(words.length() == 0 ? "" : ", ").append(line.label).append(' ').append(line.text);
        }
        return words.toString();
    }

    /** Of a map: its classes, and the share of the pixels that is of each, the largest first. */
    private String shares(int[] classes) {
        Map<Integer, Integer> counts = new TreeMap<>();
        for (int each : classes) {
            counts.merge(each, 1, Integer::sum);
        }
        List<Integer> places = new ArrayList<>(counts.keySet());
        Collections.sort(places, (one, other) -> counts.get(other) - counts.get(one));
        List<Answer.Line> lines = new ArrayList<>();
        for (int place : places.subList(0, Math.min(MOST_LINES, places.size()))) {
            float share = (float) counts.get(place) / classes.length;
            lines.add(new Answer.Line(label(place), Math.round(100 * share), Numbers.percent(share)));
        }
        return words(lines);
    }
}
