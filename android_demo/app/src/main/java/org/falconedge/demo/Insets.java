package org.falconedge.demo;

import android.view.View;
import android.view.WindowInsets;

/** Room for the bars, the cut-out and the keyboard: since API 35 an app is drawn beneath them. */
final class Insets {
    private Insets() {}

    /** Keep what is in a view off them, by its padding. By the calls of API 29, which later ones answer, too. */
    static void keepOff(View view) {
        view.setOnApplyWindowInsetsListener((padded, insets) -> {
            padded.setPadding(
                    insets.getSystemWindowInsetLeft(),
                    insets.getSystemWindowInsetTop(),
                    insets.getSystemWindowInsetRight(),
                    insets.getSystemWindowInsetBottom());
            return insets.consumeSystemWindowInsets();
        });
    }
}
