package org.falconedge.demo;

import android.content.Context;
import android.content.res.Resources;
import java.util.Locale;
import org.falconedge.demo.screens.Text;
import org.falconedge.demo.screens.Texts;

/** The app's string resources, in the language of the moment. */
final class AndroidTexts implements Texts {
    private final Context context;

    AndroidTexts(Context context) {
        this.context = context;
    }

    @Override
    public String of(Text text, Object... values) {
        Resources resources = context.getResources();
        String name = "text_" + text.name().toLowerCase(Locale.ROOT);
        return resources.getString(resources.getIdentifier(name, "string", context.getPackageName()), values);
    }
}
