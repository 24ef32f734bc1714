package android.app;

import android.Fake;
import android.content.ActivityNotFoundException;
import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.Display;
import android.view.LayoutInflater;
import android.view.View;
import android.view.Window;
import android.view.WindowManager;

public class Activity extends Context {
    public static final int RESULT_OK = -1;
    public Intent intent;
    public boolean changing;
    private View content;

    public void create(Bundle before) {
        onCreate(before);
    }

    public void start() {
        onStart();
    }

    public void stop() {
        onStop();
    }

    public void bring(int request, Intent data) {
        onActivityResult(request, RESULT_OK, data);
    }

    public void again(Intent other) {
        onNewIntent(other);
    }

    protected void onCreate(Bundle before) {}

    protected void onStart() {}

    protected void onStop() {}

    protected void onNewIntent(Intent other) {}

    protected void onActivityResult(int request, int result, Intent data) {}

    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {}

    public void setContentView(int layout) {
        content = getLayoutInflater().inflate(layout, null, false);
    }

    public <T extends View> T findViewById(int id) {
        return content.findViewById(id);
    }

    public LayoutInflater getLayoutInflater() {
        return new LayoutInflater(this);
    }

    public Intent getIntent() {
        return intent;
    }

    public Window getWindow() {
        return new Window();
    }

    public WindowManager getWindowManager() {
        return Display::new;
    }

    public boolean isChangingConfigurations() {
        return changing;
    }

    public final void runOnUiThread(Runnable task) {
        Fake.post(task);
    }

    public void startActivityForResult(Intent wanted, int request) {
        if (!Fake.gallery) {
            throw new ActivityNotFoundException();
        }
        Fake.STARTED.add(wanted);
    }

    public final void requestPermissions(String[] permissions, int request) {
        Fake.ASKED.add(permissions[0]);
    }
}
