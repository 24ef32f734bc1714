package android.os;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;

public class Bundle {
    public final Map<String, Object> values = new HashMap<>();

    public Object get(String name) {
        return values.get(name);
    }

    public Set<String> keySet() {
        return values.keySet();
    }
}
