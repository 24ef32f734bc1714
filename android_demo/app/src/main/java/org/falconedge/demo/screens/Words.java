package org.falconedge.demo.screens;

import java.util.List;

/** Texts, one after the other: String.join came with API 26. */
final class Words {
    private Words() {}

    static String join(String between, List<String> texts) {
        StringBuilder all = new StringBuilder();
        for (String text : texts) {
            all.append(all.length() == 0 ? "" : between).append(text);
        }
        return all.toString();
    }
}
