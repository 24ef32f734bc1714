package org.falconedge.demo.screens;

import java.util.Locale;

/** Numbers as text, as the user's language writes them. */
final class Numbers {
    private Numbers() {}

    /** Milliseconds of nanoseconds: three digits that count. */
    static String milliseconds(double nanoseconds) {
        double value = nanoseconds / 1e6;
        return text(value, value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0);
    }

    /** A share as per cent, as in "12.3%". */
    static String percent(double share) {
        return text(100 * share, 1) + "%";
    }

    /** By how much one is more than another, as in "+3.1%"; empty where there is nothing to compare with. */
    static String difference(double value, double other) {
        return other > 0 ? String.format(Locale.getDefault(), "%+.1f%%", 100 * (value / other - 1)) : "";
    }

    /** Megabytes of bytes. */
    static String megabytes(double bytes) {
        return text(bytes / 1e6, 1);
    }

    static String text(double value, int digits) {
        return String.format(Locale.getDefault(), "%." + digits + "f", value);
    }
}
