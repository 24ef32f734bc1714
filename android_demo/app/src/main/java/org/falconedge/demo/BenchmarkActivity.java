package org.falconedge.demo;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;
import android.text.TextUtils;
import android.view.WindowManager;
import android.widget.TextView;
import java.util.HashMap;
import java.util.Map;

/** What `am start` over adb starts: it hands the request on (docs/phones.md), and shows what was answered. */
public final class BenchmarkActivity extends Activity {
    @Override
    protected void onCreate(Bundle before) {
        super.onCreate(before);
        setContentView(R.layout.requests);
        Insets.keepOff(findViewById(R.id.root));
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
        if (before == null) {
            take(getIntent()); // made anew for any other reason, it has handed it on already
        }
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        take(intent);
    }

    @Override
    protected void onStart() {
        super.onStart();
        App.of(this).onLine(this::show);
        show();
    }

    @Override
    protected void onStop() {
        App.of(this).onLine(null);
        super.onStop();
    }

    private void show() {
        App app = App.of(this);
        if (!app.log().isEmpty()) {
            TextView log = findViewById(R.id.log);
            log.setText(TextUtils.join("\n", app.log()));
        }
    }

    private void take(Intent intent) {
        Map<String, Object> extras = new HashMap<>();
        Bundle bundle = intent.getExtras();
        if (bundle != null) {
            for (String name : bundle.keySet()) {
                extras.put(name, bundle.get(name));
            }
        }
        App.of(this).requests().take(extras);
    }
}
