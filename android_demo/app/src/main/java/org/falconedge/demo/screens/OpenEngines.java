package org.falconedge.demo.screens;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
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
                Engine closed = oldest.next();
                oldest.remove();
                close(closed);
            }
            engine = choice.open();
            open.put(key, engine);
        }
        return engine;
    }

    /** Close all. */
    @Override
    public void close() {
        List<Engine> all = new ArrayList<>(open.values());
        open.clear();
        for (Engine engine : all) {
            close(engine);
        }
    }

    private static void close(Engine engine) {
        try {
            engine.close();
        } catch (RuntimeException failed) {
            return; // nobody uses it any more, and nobody could do anything about it
        }
    }
}
