package org.falconedge.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** What a bundle says of its model (docs/schemas/manifest.json, version 2). */
public final class Manifest {
    /** What is read; falcon-edge writes older ones anew when it packs a bundle again. */
    public static final int SCHEMA_VERSION = 2;

    /** Folders and a name, none of which starts with a dot: neither absolute nor out of the bundle. */
    private static final Pattern INSIDE =
            Pattern.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*");

    private static final String[] LAYOUTS = {"NCHW", "NHWC"};
    private static final int MOST = Integer.MAX_VALUE;

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
                String file,
                String output,
                String runtime,
                Double rtol,
                Long maxLsb,
                Double differing,
                boolean classes) {
            this.file = file;
            this.output = output;
            this.runtime = runtime;
            this.rtol = rtol;
            this.maxLsb = maxLsb;
            this.differing = differing;
            this.classes = classes;
        }
    }

    public final String name;
    public final List<String> labels;
    public final InputSpec input;

    /** Of the exported files, in their order: the manifest's `head` where it has one, else its `outputs`. */
    public final List<Output> outputs;

    public final List<Export> exports;

    /** What integers of a file with integer input mean; null without int8 files. */
    public final Integers inputIntegers;

    /** The same of outputs, by name; one that is not among these is float. */
    public final Map<String, Integers> outputIntegers;

    public final List<Vector> vectors;
    public final List<Tolerance> tolerances;
    public final long parameters;
    public final long macs;

    /** "standard" or "compressed". */
    public final String role;

    public final String identity;

    /** Of the model that this one was made from; null where there is none. */
    public final String parentIdentity;

    private Manifest(Fields fields) throws Message {
        name = fields.text("name");
        labels = Collections.unmodifiableList(fields.texts("labels"));
        input = InputSpec.read(fields.object("input"));
        outputs = Collections.unmodifiableList(outputs(fields));
        exports = Collections.unmodifiableList(exports(fields.objects("exports")));
        Map<String, Integers> integers = new LinkedHashMap<>();
        inputIntegers = integers(fields, integers);
        outputIntegers = Collections.unmodifiableMap(integers);
        boolean hasGolden = fields.has("golden");
        vectors = Collections.unmodifiableList(
                hasGolden ? vectors(fields.object("golden").objects("vectors")) : new ArrayList<Vector>());
        tolerances = Collections.unmodifiableList(
                hasGolden ? tolerances(fields.object("golden").objects("tolerances")) : new ArrayList<Tolerance>());
        parameters = fields.whole("parameters", 0, Long.MAX_VALUE);
        macs = fields.whole("macs", 0, Long.MAX_VALUE);
        Fields lineage = fields.object("lineage");
        role = lineage.oneOf("role", "standard", "compressed");
        identity = lineage.text("identity");
        parentIdentity = lineage.has("parent") ? lineage.object("parent").text("identity") : null;
    }

    /** Read the text of a manifest.json. */
    public static Manifest read(String json) throws Message {
        Fields fields = Fields.of(json, "manifest.json");
        long version = fields.version();
        if (version != SCHEMA_VERSION) {
            throw new Message("manifest.json: of version " + version + ", and this app reads version " + SCHEMA_VERSION
                    + "; " + (version > SCHEMA_VERSION ? "update the app" : "pack the bundle again and embed it"));
        }
        return new Manifest(fields);
    }

    /** The exported file of that path; null where there is none. */
    public Export export(String file) {
        for (Export export : exports) {
            if (export.file.equals(file)) {
                return export;
            }
        }
        return null;
    }

    /** The tolerances of a file's outputs on a runtime, in the order of the outputs. */
    public List<Tolerance> tolerances(String file, String runtime) {
        Map<String, Tolerance> chosen = new LinkedHashMap<>();
        for (Tolerance each : tolerances) {
            boolean own = runtime.equals(each.runtime);
            if (each.file.equals(file) && (own || (each.runtime == null && !chosen.containsKey(each.output)))) {
                chosen.put(each.output, each);
            }
        }
        return new ArrayList<>(chosen.values());
    }

    /** Whether a text is a path inside of a bundle. */
    static boolean isInside(String path) {
        return INSIDE.matcher(path).matches();
    }

    private static List<Output> outputs(Fields fields) throws Message {
        List<Output> found = new ArrayList<>();
        for (Fields each : fields.objects(fields.list("head").isEmpty() ? "outputs" : "head")) {
            String kind = each.oneOf("kind", "classes", "map", "values");
            int[] shape = each.sizes("shape", 0, MOST);
            if (kind.equals("map") && shape.length != 3) {
                throw each.wrong("shape", "channels, height and width of a map were expected");
            }
            found.add(new Output(each.text("name"), shape, kind));
        }
        if (found.isEmpty()) {
            throw fields.wrong("outputs", "at least one was expected");
        }
        return found;
    }

    private static List<Export> exports(List<Fields> list) throws Message {
        List<Export> found = new ArrayList<>();
        for (Fields each : list) {
            Map<String, String> layouts = each.textsByName("layouts");
            if (each.has("layouts")) {
                for (String output : layouts.keySet()) {
                    each.object("layouts").oneOf(output, LAYOUTS);
                }
            }
            found.add(new Export(
                    path(each, "file"),
                    each.text("target"),
                    each.oneOf("precision", "fp32", "fp16", "int8"),
                    Collections.unmodifiableMap(layouts),
                    each.whole("macs", 0, Long.MAX_VALUE)));
        }
        return found;
    }

    private static Integers integers(Fields fields, Map<String, Integers> outputs) throws Message {
        if (!fields.has("quantization")) {
            return null;
        }
        Fields about = fields.object("quantization");
        Fields byName = about.object("outputs");
        for (String output : byName.names()) {
            outputs.put(output, integers(byName.object(output)));
        }
        return integers(about.object("input"));
    }

    private static Integers integers(Fields fields) throws Message {
        double scale = fields.number("scale");
        if (!((float) scale > 0) || Float.isInfinite((float) scale)) {
            throw fields.wrong("scale", "a number above 0 was expected");
        }
        return new Integers(scale, fields.size("zero_point", -128, 127));
    }

    private static List<Vector> vectors(List<Fields> list) throws Message {
        List<Vector> found = new ArrayList<>();
        for (Fields each : list) {
            String pixels = each.has("pixels") ? path(each, "pixels") : null;
            int[] shape = each.has("pixels_shape") ? each.sizes("pixels_shape", 1, MOST) : null;
            if (shape != null && shape.length != 3) {
                throw each.wrong("pixels_shape", "height, width and channels were expected");
            }
            Map<String, String> outputs = each.textsByName("outputs");
            for (Map.Entry<String, String> output : outputs.entrySet()) {
                if (!isInside(output.getKey()) || !isInside(output.getValue())) {
                    throw each.wrong("outputs", "paths inside of the bundle were expected");
                }
            }
            found.add(new Vector(path(each, "input"), pixels, shape, Collections.unmodifiableMap(outputs)));
        }
        return found;
    }

    private static List<Tolerance> tolerances(List<Fields> list) throws Message {
        List<Tolerance> found = new ArrayList<>();
        for (Fields each : list) {
            found.add(new Tolerance(
                    path(each, "file"),
                    each.text("output"),
                    each.text("runtime", null),
                    each.has("rtol") ? each.number("rtol") : null,
                    each.has("max_lsb") ? each.whole("max_lsb", 0, Long.MAX_VALUE) : null,
                    each.has("differing") ? each.number("differing") : null,
                    each.flag("classes", false)));
        }
        return found;
    }

    private static String path(Fields fields, String name) throws Message {
        String path = fields.text(name);
        if (!isInside(path)) {
            throw fields.wrong(name, "a path inside of the bundle was expected");
        }
        return path;
    }
}
