package android.os;

public final class PowerManager {
    private static final long LEAST = 500_000_000;
    private static long asked = System.nanoTime() - LEAST;

    public int getCurrentThermalStatus() {
        return 1;
    }

    /** As Android's: who asks too often is told nothing. */
    public float getThermalHeadroom(int seconds) {
        long now = System.nanoTime();
        boolean soon = now - asked < LEAST;
        asked = now;
        return soon ? Float.NaN : 0.5f;
    }
}
