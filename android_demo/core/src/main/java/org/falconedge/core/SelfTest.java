package org.falconedge.core;

import java.util.List;
import java.util.Map;

/** Whether this device computes what the export computed: golden vectors replayed. */
public final class SelfTest {
    /** How an output agrees with the golden ones: runtime_bench's Agreement. Null: cannot be compared, or not asked. */
    public static final class Agreement {
        public final String output;
        public final int vectors;
        public final Double maxAbs;
        public final Double maxRelative;
        public final Double snrDb;
        public final Integer classesEqual;
        public final boolean within;

        Agreement(
                String output,
                int vectors,
                Double maxAbs,
                Double maxRelative,
                Double snrDb,
                Integer classesEqual,
                boolean within) {
            this.output = output;
            this.vectors = vectors;
            this.maxAbs = maxAbs;
            this.maxRelative = maxRelative;
            this.snrDb = snrDb;
            this.classesEqual = classesEqual;
            this.within = within;
        }

        /** As the results file has it. */
        public Map<String, Object> document() {
            throw new UnsupportedOperationException();
        }
    }

    /** Of every output; empty where the bundle has no golden vectors of the file here. */
    public final List<Agreement> agreements;

    /** Whether all are within their tolerances, and there are some. */
    public final boolean passed;

    /** One line: "8 vectors agree" or what differs, and by how much. */
    public final String text;

    private SelfTest(List<Agreement> agreements, boolean passed, String text) {
        this.agreements = agreements;
        this.passed = passed;
        this.text = text;
    }

    /** Replay the golden vectors of a model's exported file, pre-processing included, in an engine that has it loaded. */
    public static SelfTest run(Model model, String file, Engine engine) throws Message {
        throw new UnsupportedOperationException();
    }
}
