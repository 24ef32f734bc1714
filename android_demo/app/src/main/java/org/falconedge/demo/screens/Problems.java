package org.falconedge.demo.screens;

import org.falconedge.core.Message;

/** Errors as one line for people. */
final class Problems {
    private static final int LONGEST = 500;

    private Problems() {}

    /** What went wrong, of anything that can be thrown. */
    static String text(Throwable error, Texts texts) {
        if (error instanceof OutOfMemoryError) {
            return texts.of(Text.OUT_OF_MEMORY);
        }
        return error instanceof Message ? line(error) : texts.of(Text.FAILED, line(error));
    }

    /** What an error says; its name, where it says nothing. */
    static String line(Throwable error) {
        String said = error.getMessage() == null ? "" : error.getMessage().trim().replaceAll("\\s+", " ");
        String text = said.isEmpty() ? error.getClass().getSimpleName() : said;
        return text.length() > LONGEST ? text.substring(0, LONGEST) + "..." : text;
    }
}
