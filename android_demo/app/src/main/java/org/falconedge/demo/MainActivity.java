package org.falconedge.demo;

import android.app.Activity;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.os.Bundle;
import android.view.ViewGroup;
import android.widget.RadioGroup;
import org.falconedge.demo.screens.Demo;

/** The app: its tabs, and the page of the one that is open. What it shows is kept by App. */
public final class MainActivity extends Activity {
    private static final int[] TABS = {R.id.tab_classify, R.id.tab_self_test, R.id.tab_benchmark, R.id.tab_accuracy};

    private Demo demo;
    private Page<?> page;
    private boolean isStarted;

    @Override
    protected void onCreate(Bundle before) {
        super.onCreate(before);
        setContentView(R.layout.main);
        Insets.keepOff(findViewById(R.id.root));
        demo = App.of(this).demo();
        demo.start();
        RadioGroup tabs = findViewById(R.id.tabs);
        tabs.check(TABS[demo.tab().ordinal()]);
        open(demo.tab());
        tabs.setOnCheckedChangeListener((group, id) -> {
            for (Demo.Tab tab : Demo.Tab.values()) {
                if (TABS[tab.ordinal()] == id) {
                    open(tab);
                }
            }
        });
    }

    private void open(Demo.Tab tab) {
        if (page != null && isStarted) {
            page.stop();
        }
        demo.open(tab);
        ViewGroup content = findViewById(R.id.content);
        page = page(tab, content);
        content.removeAllViews();
        content.addView(page.view);
        if (isStarted) {
            page.start();
        }
    }

    private Page<?> page(Demo.Tab tab, ViewGroup parent) {
        switch (tab) {
            case SELF_TEST:
                return new SelfTestPage(this, parent, demo.selfTest);
            case BENCHMARK:
                return new BenchmarkPage(this, parent, demo.benchmark);
            case ACCURACY:
                return new AccuracyPage(this, parent, demo.accuracy);
            default:
                return new ClassifyPage(this, parent, demo.classify);
        }
    }

    @Override
    protected void onStart() {
        super.onStart();
        isStarted = true;
        page.start();
    }

    @Override
    protected void onStop() {
        isStarted = false;
        page.stop();
        if (!isChangingConfigurations()) {
            demo.hidden();
        }
        super.onStop();
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        super.onActivityResult(request, result, data);
        if (request == Page.PICKED && result == RESULT_OK && data != null && data.getData() != null) {
            page.picked(data.getData());
        }
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {
        super.onRequestPermissionsResult(request, permissions, results);
        if (request == Page.ALLOWED && results.length > 0) {
            page.allowed(results[0] == PackageManager.PERMISSION_GRANTED);
        }
    }
}
