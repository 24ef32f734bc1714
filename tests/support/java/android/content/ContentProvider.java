package android.content;

import android.Fake;

public abstract class ContentProvider {
    public final Context getContext() {
        return Fake.application;
    }
}
