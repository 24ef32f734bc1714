package android.os;

public final class Debug {
    /** In kilobytes. */
    public static long getPss() {
        return 100_000;
    }
}
