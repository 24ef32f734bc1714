package org.falconedge.core;

import java.util.Map;

/**
 * Answers the requests of runtime_bench/worker.py about one loaded file (docs/phones.md).
 *
 * <p>As there: load, warm_up, measure, evaluate, replay, memory, bandwidth. profile, count and invoke are refused: no runtime
 * here can do them. cpu_seconds is for whoever starts this process, and so is the end of it (quit).
 */
public final class Worker implements AutoCloseable {
    /** Of the app (docs/phones.md). */
    public static final int CONTRACT = 1;

    public Worker(Platform platform) {
    }

    /**
     * The answer to one request, never an exception: an error is {"error": one line, "kind": ...}.
     *
     * <p>`load` takes the file as `path` or `model`. Fields "id" and "do" are the request's own; "contract", where it is there,
     * must be 1.
     */
    public Map<String, Object> answer(Map<String, Object> request) {
        throw new UnsupportedOperationException();
    }

    /** The same of a line of JSON, as one. */
    public String answer(String line) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close() {
    }
}
