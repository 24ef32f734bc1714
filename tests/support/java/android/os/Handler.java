package android.os;

import android.Fake;

public class Handler {
    public Handler(Looper looper) {}

    public final boolean post(Runnable task) {
        Fake.post(task);
        return true;
    }
}
