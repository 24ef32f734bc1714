package org.falconedge.core;

import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** How an output agrees with the golden ones, over the golden inputs (runtime_bench/golden.py). */
public final class Agreement {
    public final String output;
    public final int vectors;

    /** Null: they cannot be compared, being more or fewer numbers or not finite. */
    public final Double maxAbs;

    /** A share of the largest golden value; null too where all of these are 0. */
    public final Double maxRelative;

    /** Null: no difference, or nothing to compare it with. */
    public final Double snrDb;

    /** Of how many the highest class is the same; null where that was not asked. */
    public final Integer classesEqual;

    /** Whether it is within its tolerance. */
    public final boolean within;

    /** Compare what came for each vector, at least one, with what must come; a missing output is null. */
    Agreement(Manifest.Tolerance tolerance, Dtype dtype, List<ByteBuffer> expected, List<ByteBuffer> found) {
        output = tolerance.output;
        vectors = found.size();
        double largest = 0;
        double off = 0;
        double signal = 0;
        double noise = 0;
        long others = 0;
        long count = 0;
        int equal = 0;
        boolean comparable = true;
        for (int vector = 0; vector < vectors; vector++) {
            ByteBuffer one = expected.get(vector);
            ByteBuffer other = found.get(vector);
            if (one == null || other == null || one.limit() != other.limit()) {
                comparable = false;
                break;
            }
            Numbers wanted = new Numbers(one, dtype);
            Numbers came = new Numbers(other, dtype);
            int bestWanted = 0;
            int bestCame = 0;
            for (int place = 0; place < wanted.count; place++) {
                double value = wanted.real(place);
                double difference = came.real(place) - value;
                if (Double.isNaN(difference) || Double.isInfinite(difference)) {
                    comparable = false;
                }
                largest = Math.max(largest, Math.abs(value));
                off = Math.max(off, Math.abs(difference));
                signal += value * value;
                noise += difference * difference;
                others += difference != 0 ? 1 : 0;
                bestWanted = wanted.above(place, bestWanted) ? place : bestWanted;
                bestCame = came.above(place, bestCame) ? place : bestCame;
            }
            count += wanted.count;
            equal += bestWanted == bestCame ? 1 : 0;
        }
        maxAbs = comparable ? Double.valueOf(off) : null;
        maxRelative = !comparable ? null : off == 0 ? Double.valueOf(0) : largest > 0 ? (Double) (off / largest) : null;
        snrDb = !comparable || noise == 0 || signal == 0 ? null : (Double) (10 * Math.log10(signal / noise));
        classesEqual = tolerance.classes ? (Integer) (comparable ? equal : 0) : null;
        within = comparable
                && (tolerance.rtol == null || (maxRelative != null && maxRelative <= tolerance.rtol))
                && (tolerance.maxLsb == null || off <= tolerance.maxLsb)
                && (tolerance.differing == null || count == 0 || (double) others / count <= tolerance.differing)
                && (classesEqual == null || classesEqual == vectors);
    }

    /** As the results file has it. */
    public Map<String, Object> document() {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("output", output);
        found.put("vectors", vectors);
        found.put("max_abs", maxAbs);
        found.put("max_relative", maxRelative);
        found.put("snr_db", snrDb);
        found.put("classes_equal", classesEqual);
        found.put("within_tolerance", within);
        return found;
    }

    /** As in "logits: up to 1.2e-07 of the largest off; 8 of 8 classes are the same". */
    @Override
    public String toString() {
        if (maxAbs == null) {
            return output + ": cannot be compared, having more or fewer numbers or some that are not finite";
        }
        String text = maxRelative == null
                ? String.format(Locale.ROOT, "%s: up to %.1e off", output, maxAbs)
                : String.format(Locale.ROOT, "%s: up to %.1e of the largest off", output, maxRelative);
        return text + (classesEqual == null ? "" : "; " + classesEqual + " of " + vectors + " classes are the same");
    }
}
