package org.falconedge.demo.screens;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.falconedge.core.Json;
import org.falconedge.core.Message;
import org.falconedge.core.Results;

/** The benchmarks that were run here: results files of the project, in a folder, the newest first. */
final class History {
    /** One of them: what its entry says, and the whole document but for its entries. */
    static final class Run {
        final String id;
        final Results.Line line;
        private final Map<?, ?> document;

        Run(String id, Results.Line line, Map<?, ?> document) {
            this.id = id;
            this.line = line;
            this.document = document;
        }

        /** What a part of the document ("options", "before", "after") has under this name; null: nothing. */
        Object value(String part, String name) {
            Object found = document.get(part);
            return found instanceof Map ? ((Map<?, ?>) found).get(name) : null;
        }

        /** The same, if it is a number. */
        Double number(String part, String name) {
            Object value = value(part, name);
            return value instanceof Number ? Double.valueOf(((Number) value).doubleValue()) : null;
        }
    }

    /** The part of a run that is the summary of its paced latency. */
    static final String PACED = "paced";

    private static final String SUFFIX = ".json";
    private static final Pattern ID = Pattern.compile("[0-9A-Za-z_-]+");

    private final File folder;

    History(File folder) {
        this.folder = folder;
    }

    /** Keep a results file, under this name. */
    void add(String id, String json) throws IOException {
        Files.replace(file(id), json);
    }

    /** The file of a run. */
    File file(String id) {
        if (!ID.matcher(id).matches()) {
            throw new IllegalArgumentException(id);
        }
        return new File(folder, id + SUFFIX);
    }

    /** Forget one. */
    void remove(String id) throws IOException {
        File file = file(id);
        if (file.exists() && !file.delete()) {
            throw new IOException(file.getName() + " cannot be removed");
        }
    }

    /** All that can be read; others are left alone, and named in `unread`. */
    List<Run> runs(List<String> unread) {
        String[] names = folder.list((where, name) -> name.endsWith(SUFFIX));
        if (names == null) {
            return Collections.emptyList();
        }
        Arrays.sort(names, Collections.reverseOrder());
        List<Run> runs = new ArrayList<>();
        for (String name : names) {
            String id = name.substring(0, name.length() - SUFFIX.length());
            try {
                runs.add(run(id));
            } catch (Message | IOException | RuntimeException error) {
                unread.add(name);
            }
        }
        return runs;
    }

    private Run run(String id) throws Message, IOException {
        String json = Files.text(file(id));
        List<Results.Line> lines = Results.lines(json);
        if (lines.isEmpty()) {
            throw new Message(id + ": no latency");
        }
        Map<String, Object> document = new LinkedHashMap<>();
        for (Map.Entry<?, ?> part : ((Map<?, ?>) Json.parse(json)).entrySet()) {
            document.put((String) part.getKey(), part.getValue());
        }
        List<?> entries = (List<?>) document.remove("entries"); // every sample: far more than is shown
        Object paced = ((Map<?, ?>) entries.get(0)).get("paced");
        document.put(PACED, paced == null ? null : ((Map<?, ?>) paced).get("summary"));
        return new Run(id, lines.get(0), document);
    }
}
