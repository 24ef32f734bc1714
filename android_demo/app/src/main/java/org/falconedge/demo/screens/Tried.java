package org.falconedge.demo.screens;

import org.falconedge.core.Engine;
import org.falconedge.core.Message;
import org.falconedge.core.SelfTest;

/** Self-tests: the first use of a file in a runtime makes one, and what came of it is remembered. */
final class Tried {
    private static final String PASSED = "+", OTHER = "-";

    private final Settings settings;
    private final Texts texts;

    Tried(Settings settings, Texts texts) {
        this.settings = settings;
        this.texts = texts;
    }

    /** Replay the golden vectors of a choice in its engine. */
    SelfTest run(Choice choice, Engine engine) throws Message {
        SelfTest found = SelfTest.run(choice.model, choice.export.file, engine);
        settings.put(key(choice, engine), (found.passed ? PASSED : OTHER) + text(found));
        return found;
    }

    /** What came of the self-test of a choice, which is made if it was not yet; null where it passed before. */
    String first(Choice choice, Engine engine) throws Message {
        String before = settings.get(key(choice, engine));
        if (before == null) {
            return text(run(choice, engine));
        }
        return before.startsWith(PASSED) ? null : before.substring(OTHER.length());
    }

    /** One line for people. */
    String text(SelfTest found) {
        if (found.agreements.isEmpty()) {
            return texts.of(Text.SELF_TEST_NONE);
        }
        return texts.of(found.passed ? Text.SELF_TEST_PASSED : Text.SELF_TEST_FAILED, found.text);
    }

    private static String key(Choice choice, Engine engine) throws Message {
        return "self-test " + choice.computes() + " " + engine.version();
    }
}
