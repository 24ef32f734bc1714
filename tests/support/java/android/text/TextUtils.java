package android.text;

public class TextUtils {
    public static String join(CharSequence between, Iterable<?> texts) {
        StringBuilder all = new StringBuilder();
        for (Object text : texts) {
            all.append(all.length() == 0 ? "" : between).append(text);
        }
        return all.toString();
    }
}
