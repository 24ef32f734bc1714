package org.falconedge.core;

import java.util.Map;

/** The state of the device, as results have it (runtime_bench/environment.py). */
public final class Environment {
    private Environment() {}

    /**
     * The device now, as a results file has it.
     *
     * @param battery as in "80%, charging"; null: unknown
     * @param thermalStatus of PowerManager, 0 to 6; null: unknown
     */
    public static Map<String, Object> now(Platform platform, String battery, Integer thermalStatus) {
        throw new UnsupportedOperationException();
    }
}
