package org.falconedge.demo.screens;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.regex.Pattern;
import org.falconedge.core.Json;

/**
 * Requests that came over adb: answered one after the other, each by a file (docs/phones.md is the contract).
 *
 * <p>A file is written under another name and renamed, so that it is whole once it is there.
 */
public final class Requests {
    /** Where answers lie, in the app's own storage. */
    public static final String FOLDER = "files/bench";

    private static final Pattern ID = Pattern.compile("[A-Za-z0-9_-]{1,64}");

    /** What answers a request; it never throws. See core's Worker. */
    public interface Answers {
        Map<String, Object> answer(Map<String, Object> request);
    }

    /** Where it is told what was done: logcat, and the screen. */
    public interface Log {
        void says(String line);
    }

    private final Answers answers;
    private final File home;
    private final Executor executor;
    private final Log log;

    /** `home` is the app's own storage; `executor` runs one thing at a time, in their order. */
    public Requests(Answers answers, File home, Executor executor, Log log) {
        this.answers = answers;
        this.home = home;
        this.executor = executor;
        this.log = log;
    }

    /** Answer what an `am start` asks, after all that was asked before. Extras are as Android's Bundle holds them. */
    public void take(Map<String, ?> extras) {
        Map<String, Object> request = Extras.request(extras);
        Object id = request.get("id");
        if (!(id instanceof String) || !ID.matcher((String) id).matches()) {
            log.says("BENCH_REFUSED a request needs --es id, of letters, digits, - and _");
            return;
        }
        executor.execute(() -> finish((String) id, answered(request)));
    }

    private Map<String, Object> answered(Map<String, Object> request) {
        try {
            request.computeIfPresent("outputs", (name, value) -> placed(value));
        } catch (IllegalArgumentException error) {
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("error", error.getMessage());
            answer.put("kind", "runtime");
            return answer;
        }
        return answers.answer(request);
    }

    /** Files to write, which requests name from the app's storage on. */
    private Object placed(Object outputs) {
        if (outputs instanceof List) {
            List<Object> places = new ArrayList<>();
            for (Object output : (List<?>) outputs) {
                places.add(placed(output));
            }
            return places;
        }
        String path = String.valueOf(outputs);
        File file = new File(home, path);
        try {
            String folder = new File(home, FOLDER).getCanonicalPath() + File.separator;
            if (!file.getCanonicalPath().startsWith(folder)) {
                throw new IllegalArgumentException(path + ": outputs are files in " + FOLDER + "/");
            }
        } catch (IOException error) {
            throw new IllegalArgumentException(path + ": no file can have this name");
        }
        return file.getPath();
    }

    private void finish(String id, Map<String, Object> answer) {
        try {
            Files.replace(new File(new File(home, FOLDER), id + ".json"), Json.text(answer));
            log.says("BENCH_DONE " + id);
        } catch (IOException error) {
            log.says("BENCH_FAILED " + id + " the answer cannot be written: " + error.getMessage());
        }
    }
}
