package android.system;

import java.util.HashMap;
import java.util.Map;

/** The environment that the process would have. */
public final class Os {
    public static final Map<String, String> ENVIRONMENT = new HashMap<>();

    private Os() {}

    public static void setenv(String name, String value, boolean overwrite) throws ErrnoException {
        ENVIRONMENT.put(name, value);
    }
}
