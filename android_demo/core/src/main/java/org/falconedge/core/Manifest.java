package org.falconedge.core;

import java.util.List;
import java.util.Map;

/** What a bundle says of its model (docs/schemas/manifest.json, version 2). */
public final class Manifest {
    /** An output; its shape is without the batch. kind: "classes", "map" (channels, height, width) or "values". */
    public static final class Output {
        public final String name;
        public final int[] shape;
        public final String kind;

        Output(String name, int[] shape, String kind) {
            this.name = name;
            this.shape = shape;
            this.kind = kind;
        }
    }

    /** An exported file, by its path in the bundle; layouts ("NCHW", "NHWC") of its outputs with four axes, by name. */
    public static final class Export {
        public final String file;
        public final String target;
        public final String precision;
        public final Map<String, String> layouts;
        public final long macs;

        Export(String file, String target, String precision, Map<String, String> layouts, long macs) {
            this.file = file;
            this.target = target;
            this.precision = precision;
            this.layouts = layouts;
            this.macs = macs;
        }
    }

    /** real = scale (q - zeroPoint) with q in -128..127; a uint8 counts 128 more. */
    public static final class Integers {
        public final double scale;
        public final int zeroPoint;

        Integers(double scale, int zeroPoint) {
            this.scale = scale;
            this.zeroPoint = zeroPoint;
        }
    }

    /** An input file, the image that it was made of (null: not kept), and by exported file that of the outputs. */
    public static final class Vector {
        public final String input;
        public final String pixels;
        public final int[] pixelsShape;
        public final Map<String, String> outputs;

        Vector(String input, String pixels, int[] pixelsShape, Map<String, String> outputs) {
            this.input = input;
            this.pixels = pixels;
            this.pixelsShape = pixelsShape;
            this.outputs = outputs;
        }
    }

    /**
     * How far an output of a file may be off: rtol, a share of the largest golden value; maxLsb, steps of integers;
     * differing, the share of whole numbers that may be others at all (null: not asked); classes, whether the highest
     * class must be the same. runtime: on which alone (null: on any that has no tolerance of its own).
     */
    public static final class Tolerance {
        public final String file;
        public final String output;
        public final String runtime;
        public final Double rtol;
        public final Long maxLsb;
        public final Double differing;
        public final boolean classes;

        Tolerance(
                String file, String output, String runtime, Double rtol, Long maxLsb, Double differing, boolean classes) {
            this.file = file;
            this.output = output;
            this.runtime = runtime;
            this.rtol = rtol;
            this.maxLsb = maxLsb;
            this.differing = differing;
            this.classes = classes;
        }
    }

    public String name;
    public List<String> labels;
    public InputSpec input;

    /** Of the exported files, in their order: the manifest's `head` where it has one, else its `outputs`. */
    public List<Output> outputs;

    public List<Export> exports;

    /** What integers of a file with integer input mean; null without int8 files. */
    public Integers inputIntegers;

    /** The same of outputs, by name; one that is not among these is float. */
    public Map<String, Integers> outputIntegers;

    public List<Vector> vectors;
    public List<Tolerance> tolerances;
    public long parameters;
    public long macs;

    /** "standard" or "compressed". */
    public String role;

    public String identity;

    /** Of the model that this one was made from; null where there is none. */
    public String parentIdentity;

    /** Read the text of a manifest.json. */
    public static Manifest read(String json) throws Message {
        throw new UnsupportedOperationException();
    }

    /** The exported file of that path; null where there is none. */
    public Export export(String file) {
        throw new UnsupportedOperationException();
    }

    /** The tolerances of a file's outputs on a runtime, in the order of the outputs. */
    public List<Tolerance> tolerances(String file, String runtime) {
        throw new UnsupportedOperationException();
    }
}
