package org.falconedge.demo.screens;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.falconedge.core.Engine;
import org.falconedge.core.Message;

/** The engines that are open: the last two, so that two models can be compared. For the working thread alone. */
final class OpenEngines implements AutoCloseable {
    private static final int MOST = 2;

    private final Map<String, Engine> open = new LinkedHashMap<>(MOST, 0.75f, true);

    /** The engine of a choice, which stays open until others are wanted. */
    Engine of(Choice choice) throws Message {
        String key = choice.key();
        Engine engine = open.get(key);
        if (engine == null) {
            while (open.size() >= MOST) {
                Iterator<Engine> oldest = open.values().iterator();
                oldest.next().close();
                oldest.remove();
            }
            engine = choice.open();
            open.put(key, engine);
        }
        return engine;
    }

    /** Close all. */
    @Override
    public void close() {
        for (Engine engine : open.values()) {
            engine.close();
        }
        open.clear();
    }
}
