import java.util.Arrays;

/** Runs a class in a JVM that says it is Android's, so that libraries are looked for as there. */
public final class LikeAndroid {
    public static void main(String[] words) throws Exception {
        System.setProperty("java.vendor", "The Android Project");
        String[] rest = Arrays.copyOfRange(words, 1, words.length);
        Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) rest);
    }
}
