import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.falconedge.core.Json;
import org.falconedge.core.SystemPlatform;
import org.falconedge.core.Worker;
import org.falconedge.demo.screens.Requests;

/** The demo app's process without Android: extras come as lines of JSON, and are taken as BenchmarkActivity takes them. */
public final class App {
    /** The folder is the app's own storage. */
    public static void main(String[] folder) throws Exception {
        Worker worker = new Worker(new SystemPlatform());
        Requests requests = new Requests(worker::answer, new File(folder[0]), Runnable::run, System.err::println);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, Object> extras = new LinkedHashMap<>();
            for (Map.Entry<?, ?> extra : ((Map<?, ?>) Json.parse(line)).entrySet()) {
                extras.put((String) extra.getKey(), bundled(extra.getValue()));
            }
            requests.take(extras);
        }
    }

    /** A value as Android's Bundle holds what am was told. */
    private static Object bundled(Object value) {
        if (value instanceof Long && (Long) value == ((Long) value).intValue()) {
            return ((Long) value).intValue();
        }
        if (value instanceof Double) {
            return ((Double) value).floatValue();
        }
        if (!(value instanceof List)) {
            return value;
        }
        List<?> values = (List<?>) value;
        if (values.get(0) instanceof String) {
            return values.toArray(new String[0]);
        }
        if (values.get(0) instanceof Long) {
            return values.stream().mapToInt(each -> ((Long) each).intValue()).toArray();
        }
        float[] found = new float[values.size()];
        for (int index = 0; index < found.length; index++) {
            found[index] = ((Double) values.get(index)).floatValue();
        }
        return found;
    }
}
