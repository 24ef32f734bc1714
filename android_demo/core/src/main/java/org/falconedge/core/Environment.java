package org.falconedge.core;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The state of the device, as results have it (runtime_bench/environment.py). What cannot be read is null. */
public final class Environment {
    private static final String CPUS = "/sys/devices/system/cpu";
    private static final String ZONES = "/sys/class/thermal";
    private static final String POWER = "/sys/class/power_supply";
    private static final int LONGEST = 10_000;

    private Environment() {}

    /**
     * The device now, as a results file has it.
     *
     * @param battery as in "80%, charging"; null: what the kernel tells, if it does
     * @param thermalStatus of PowerManager, 0 to 6; null: unknown
     */
    public static Map<String, Object> now(Platform platform, String battery, Integer thermalStatus) {
        Map<String, List<String>> processors = cpuInfo(platform);
        List<String> cpus = numbered(platform.list(CPUS), "cpu");
        Map<String, Object> found = new LinkedHashMap<>();
        String machine = String.valueOf(System.getProperty("os.arch"));
        found.put("machine", machine.equals("amd64") ? "x86_64" : machine);
        found.put("cpu", first(processors, "model name", "Model", "Hardware"));
        found.put("cores", Math.max(1, Math.max(cpus.size(), Runtime.getRuntime().availableProcessors())));
        found.put("kernel", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        found.put("python", "none");
        found.put("governor", text(platform, CPUS + "/cpu0/cpufreq/scaling_governor"));
        found.put("frequencies_mhz", frequencies(platform, cpus, processors));
        found.put("temperatures_c", temperatures(platform));
        found.put("load_1min", load(platform));
        found.put("throttled", throttled(platform, cpus));
        found.put("battery", battery == null ? battery(platform) : battery);
        found.put("thermal_status", thermalStatus);
        found.put("idle", idle(platform));
        found.put("caches", caches(platform));
        return found;
    }

    /** Bytes of a cache by what the kernel says of it ("32K", "8M"); 0 where it says another thing. */
    static long cacheSize(String text) {
        if (text == null || !text.matches("[0-9]{1,9}[KM]")) {
            return 0;
        }
        long number = Long.parseLong(text.substring(0, text.length() - 1));
        return number << (text.endsWith("K") ? 10 : 20);
    }

    /** The fields of /proc/cpuinfo, in the order of the CPUs. */
    private static Map<String, List<String>> cpuInfo(Platform platform) {
        Map<String, List<String>> found = new LinkedHashMap<>();
        String text = text(platform, "/proc/cpuinfo");
        for (String line : text == null ? new String[0] : text.split("\n")) {
            int colon = line.indexOf(':');
            if (colon >= 0) {
                String name = line.substring(0, colon).trim();
                if (!found.containsKey(name)) {
                    found.put(name, new ArrayList<String>());
                }
                found.get(name).add(line.substring(colon + 1).trim());
            }
        }
        return found;
    }

    private static String first(Map<String, List<String>> fields, String... names) {
        for (String name : names) {
            if (fields.containsKey(name)) {
                return fields.get(name).get(0);
            }
        }
        return null;
    }

    /** Names that are a word and a number, in the order of the numbers. */
    private static List<String> numbered(String[] names, final String word) {
        List<String> found = new ArrayList<>();
        for (String name : names) {
            if (name.matches(word + "[0-9]{1,9}")) {
                found.add(name);
            }
        }
        Collections.sort(found, new Comparator<String>() {
            @Override
            public int compare(String one, String other) {
                int start = word.length();
                return Integer.valueOf(one.substring(start)).compareTo(Integer.valueOf(other.substring(start)));
            }
        });
        return found;
    }

    private static List<Double> frequencies(
            Platform platform, List<String> cpus, Map<String, List<String>> processors) {
        List<Double> found = new ArrayList<>();
        for (String cpu : cpus) {
            Double kilohertz = number(text(platform, CPUS + "/" + cpu + "/cpufreq/scaling_cur_freq"));
            if (kilohertz != null && kilohertz >= 0) {
                found.add(kilohertz / 1000);
            }
        }
        List<String> told = processors.get("cpu MHz");
        for (String megahertz : found.isEmpty() && told != null ? told : new ArrayList<String>()) {
            Double number = number(megahertz);
            if (number != null && number >= 0) {
                found.add(number);
            }
        }
        return found;
    }

    private static Map<String, Double> temperatures(Platform platform) {
        Map<String, Double> found = new TreeMap<>();
        for (String zone : numbered(platform.list(ZONES), "thermal_zone")) {
            Double number = number(text(platform, ZONES + "/" + zone + "/temp"));
            String type = text(platform, ZONES + "/" + zone + "/type");
            if (number != null) {
                found.put(zone + ":" + (type == null || type.isEmpty() ? "?" : type), number / 1000);
            }
        }
        return found;
    }

    private static Double load(Platform platform) {
        String text = text(platform, "/proc/loadavg");
        Double load = text == null ? null : number(text.split(" ")[0]);
        return load == null || load < 0 ? null : load;
    }

    private static Long throttled(Platform platform, List<String> cpus) {
        Long sum = null;
        for (String cpu : cpus) {
            Double count = number(text(platform, CPUS + "/" + cpu + "/thermal_throttle/core_throttle_count"));
            if (count != null && count >= 0) {
                sum = (sum == null ? 0 : sum) + count.longValue();
            }
        }
        return sum;
    }

    private static String battery(Platform platform) {
        for (String supply : platform.list(POWER)) {
            String folder = POWER + "/" + supply;
            if ("Battery".equals(text(platform, folder + "/type"))) {
                String capacity = text(platform, folder + "/capacity");
                String status = text(platform, folder + "/status");
                return (capacity == null ? "?" : capacity) + "%, " + (status == null ? "status unknown" : status);
            }
        }
        return null;
    }

    /** As in "psci_idle, governor menu, states WFI C1". */
    private static String idle(Platform platform) {
        String governor = text(platform, CPUS + "/cpuidle/current_governor");
        governor = governor == null ? text(platform, CPUS + "/cpuidle/current_governor_ro") : governor;
        StringBuilder states = new StringBuilder();
        String folder = CPUS + "/cpu0/cpuidle";
        for (String state : numbered(platform.list(folder), "state")) {
            String name = text(platform, folder + "/" + state + "/name");
            states.append(name == null ? "" : " " + name);
        }
        List<String> parts = new ArrayList<>();
        for (String part : Arrays.asList(
                text(platform, CPUS + "/cpuidle/current_driver"),
                governor == null || governor.isEmpty() ? null : "governor " + governor,
                states.length() == 0 ? null : "states" + states)) {
            if (part != null && !part.isEmpty()) {
                parts.add(part);
            }
        }
        String text = Fields.join(parts);
        return text.isEmpty() ? null : text.substring(0, Math.min(text.length(), LONGEST));
    }

    private static List<Long> caches(Platform platform) {
        List<Long> found = new ArrayList<>();
        String folder = CPUS + "/cpu0/cache";
        for (String index : numbered(platform.list(folder), "index")) {
            long size = cacheSize(text(platform, folder + "/" + index + "/size"));
            if (size > 0) {
                found.add(size);
            }
        }
        Collections.sort(found);
        return found;
    }

    /** The text of a file of the kernel; null where it cannot be read. */
    private static String text(Platform platform, String path) {
        try {
            return platform.read(path);
        } catch (IOException unknown) {
            return null;
        }
    }

    /** A finite number; null: the kernel writes "&lt;unknown&gt;" where a driver does not tell. */
    private static Double number(String text) {
        try {
            double number = text == null ? Double.NaN : Double.parseDouble(text);
            return Double.isNaN(number) || Double.isInfinite(number) ? null : Double.valueOf(number);
        } catch (NumberFormatException strange) {
            return null;
        }
    }
}
