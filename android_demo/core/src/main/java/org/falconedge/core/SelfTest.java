package org.falconedge.core;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** Whether this device computes what the export computed: golden vectors replayed, pre-processing included. */
public final class SelfTest {
    /** Of every output; empty where the bundle has no golden vectors of the file here. */
    public final List<Agreement> agreements;

    /** Whether all are within their tolerances, and there are some. */
    public final boolean passed;

    /** One line: that they agree, with the largest difference, or what differs. */
    public final String text;

    private SelfTest(List<Agreement> agreements, boolean passed, String text) {
        this.agreements = Collections.unmodifiableList(agreements);
        this.passed = passed;
        this.text = text;
    }

    /** Replay the golden vectors of a model's exported file in an engine that has it loaded. */
    public static SelfTest run(Model model, String file, Engine engine) throws Message {
        Manifest manifest = model.manifest();
        List<List<ByteBuffer>> expected = new ArrayList<>();
        List<List<ByteBuffer>> found = new ArrayList<>();
        String wrongPixels = null;
        for (Manifest.Vector vector : manifest.vectors) {
            String golden = vector.outputs.get(file);
            if (golden == null || !model.has(golden) || !model.has(vector.input)) {
                continue;
            }
            float[] input = floats(model.bytes(vector.input), vector.input);
            if (wrongPixels == null) {
                wrongPixels = comparePixels(model, vector, input);
            }
            found.add(copies(engine, input));
            expected.add(split(model.bytes(golden), engine.outputs()));
        }
        if (found.isEmpty()) {
            return new SelfTest(new ArrayList<Agreement>(), false, "there are no golden vectors of " + file + " here");
        }
        return judged(manifest.tolerances(file, engine.name()), engine.outputs(), expected, found, wrongPixels);
    }

    private static SelfTest judged(
            List<Manifest.Tolerance> tolerances,
            List<Tensor> tensors,
            List<List<ByteBuffer>> expected,
            List<List<ByteBuffer>> found,
            String wrongPixels) {
        List<Agreement> agreements = new ArrayList<>();
        List<String> wrong = new ArrayList<>();
        if (wrongPixels != null) {
            wrong.add(wrongPixels);
        }
        for (int place = 0; place < tolerances.size(); place++) {
            Dtype dtype = place < tensors.size() ? tensors.get(place).dtype : Dtype.UINT8;
            Agreement agreement =
                    new Agreement(tolerances.get(place), dtype, column(expected, place), column(found, place));
            agreements.add(agreement);
            if (!agreement.within) {
                wrong.add(agreement.toString());
            }
        }
        String count = found.size() == 1 ? "1 golden vector" : found.size() + " golden vectors";
        if (agreements.isEmpty()) {
            return new SelfTest(agreements, false, "the manifest has no tolerances for this file: " + count
                    + " cannot be judged");
        }
        if (wrong.isEmpty()) {
            return new SelfTest(agreements, true, count + " agree (" + Fields.join(agreements) + ")");
        }
        return new SelfTest(agreements, false, "differs: " + Fields.join(wrong));
    }

    /** What is wrong with this app's pre-processing of a golden image; null where nothing is, or no image is kept. */
    private static String comparePixels(Model model, Manifest.Vector vector, float[] input) throws Message {
        if (vector.pixels == null || vector.pixelsShape == null || !model.has(vector.pixels)) {
            return null;
        }
        int[] shape = vector.pixelsShape;
        byte[] pixels = model.bytes(vector.pixels);
        if ((double) shape[0] * shape[1] * shape[2] != pixels.length || (shape[2] != 1 && shape[2] != 3)) {
            throw new Message(vector.pixels + ": " + pixels.length + " bytes are no image of "
                    + Arrays.toString(shape) + "; embed the model again");
        }
        InputSpec spec = model.manifest().input;
        Image prepared = Pixels.prepare(new Image(shape[1], shape[0], shape[2], pixels), spec);
        float[] made = Pixels.normalise(prepared, spec.mean, spec.std);
        return Arrays.equals(made, input) ? null : "pre-processing: " + vector.pixels + " gives another input";
    }

    /** The outputs for an input, kept. */
    private static List<ByteBuffer> copies(Engine engine, float[] input) throws Message {
        List<ByteBuffer> copies = new ArrayList<>();
        try {
            for (ByteBuffer output : engine.run(Pixels.input(input, engine.input()))) {
                ByteBuffer copy = ByteBuffer.allocate(output.limit()).order(ByteOrder.nativeOrder());
                ByteBuffer whole = output.duplicate();
                Buffers.rewind(whole);
                copy.put(whole);
                Buffers.rewind(copy);
                copies.add(copy);
            }
        } catch (Message error) {
            throw error;
        } catch (Exception error) {
            throw new Message(Worker.oneLine(error), error);
        }
        return copies;
    }

    /** The outputs of one inference, as they lie in a golden file; none where it has more or fewer bytes. */
    private static List<ByteBuffer> split(byte[] data, List<Tensor> tensors) throws Message {
        long sum = 0;
        for (Tensor tensor : tensors) {
            sum += tensor.bytes();
        }
        List<ByteBuffer> found = new ArrayList<>();
        int start = 0;
        for (Tensor tensor : sum == data.length ? tensors : new ArrayList<Tensor>()) {
            byte[] part = Arrays.copyOfRange(data, start, start + tensor.bytes());
            found.add(ByteBuffer.wrap(part).order(ByteOrder.LITTLE_ENDIAN));
            start += part.length;
        }
        return found;
    }

    private static List<ByteBuffer> column(List<List<ByteBuffer>> rows, int place) {
        List<ByteBuffer> column = new ArrayList<>();
        for (List<ByteBuffer> row : rows) {
            column.add(place < row.size() ? row.get(place) : null);
        }
        return column;
    }

    private static float[] floats(byte[] data, String name) throws Message {
        if (data.length % 4 != 0) {
            throw new Message(name + ": not a file of float32; embed the model again");
        }
        float[] found = new float[data.length / 4];
        ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(found);
        return found;
    }
}
