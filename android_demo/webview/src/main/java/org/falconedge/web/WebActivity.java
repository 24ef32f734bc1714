package org.falconedge.web;

import android.Manifest;
import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.content.res.AssetManager;
import android.net.Uri;
import android.os.Bundle;
import android.util.Log;
import android.webkit.ConsoleMessage;
import android.webkit.JavascriptInterface;
import android.webkit.PermissionRequest;
import android.webkit.ValueCallback;
import android.webkit.WebChromeClient;
import android.webkit.WebResourceRequest;
import android.webkit.WebResourceResponse;
import android.webkit.WebSettings;
import android.webkit.WebView;
import android.webkit.WebViewClient;
import android.widget.Toast;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * Shows the page (the assets) under an origin of its own, which no network is asked for: modules, fetch and the threads of
 * WebAssembly work as they do over HTTPS.
 */
public final class WebActivity extends Activity {
    private static final String ORIGIN = "https://appassets.androidplatform.net/";
    private static final String TAG = "FalconWeb";
    private static final int PICK = 1;
    private static final int CAMERA = 2;
    private static final Map<String, String> TYPES = new HashMap<>();
    private static final Map<String, String> HEADERS = new HashMap<>();

    static {
        TYPES.put("html", "text/html");
        TYPES.put("js", "text/javascript");
        TYPES.put("mjs", "text/javascript");
        TYPES.put("css", "text/css");
        TYPES.put("json", "application/json");
        TYPES.put("svg", "image/svg+xml");
        TYPES.put("wasm", "application/wasm");
        HEADERS.put("Cross-Origin-Opener-Policy", "same-origin");
        HEADERS.put("Cross-Origin-Embedder-Policy", "require-corp");
        HEADERS.put("X-Content-Type-Options", "nosniff");
    }

    private WebView view;
    private ValueCallback<Uri[]> picking;
    private PermissionRequest asking;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        view = new WebView(this);
        view.setFitsSystemWindows(true);
        setContentView(view);
        WebSettings settings = view.getSettings();
        settings.setJavaScriptEnabled(true);
        settings.setDomStorageEnabled(true);
        settings.setAllowFileAccess(false);
        settings.setAllowContentAccess(false);
        settings.setMediaPlaybackRequiresUserGesture(false);
        view.setWebViewClient(new Site());
        view.setWebChromeClient(new Wishes());
        view.addJavascriptInterface(new Host(), "falconHost");
        view.loadUrl(ORIGIN + "index.html");
    }

    @Override
    protected void onPause() {
        view.onPause();
        super.onPause();
    }

    @Override
    protected void onResume() {
        super.onResume();
        view.onResume();
    }

    @Override
    protected void onDestroy() {
        view.destroy();
        super.onDestroy();
    }

    @Override
    public void onBackPressed() {
        if (view.canGoBack()) {
            view.goBack();
        } else {
            super.onBackPressed();
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (request == PICK && picking != null) {
            picking.onReceiveValue(WebChromeClient.FileChooserParams.parseResult(result, data));
            picking = null;
        }
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] names, int[] granted) {
        if (request == CAMERA && asking != null) {
            answer(granted.length > 0 && granted[0] == PackageManager.PERMISSION_GRANTED);
        }
    }

    private void answer(boolean allowed) {
        if (allowed) {
            asking.grant(new String[] {PermissionRequest.RESOURCE_VIDEO_CAPTURE});
        } else {
            asking.deny();
        }
        asking = null;
    }

    /** The type of a file by the end of its name. */
    static String type(String path) {
        String known = TYPES.get(path.substring(path.lastIndexOf('.') + 1));
        return known == null ? "application/octet-stream" : known;
    }

    /** Answers every request from the assets, and nothing from anywhere else. */
    private final class Site extends WebViewClient {
        private final AssetManager assets = getAssets();

        @Override
        public WebResourceResponse shouldInterceptRequest(WebView from, WebResourceRequest request) {
            String address = request.getUrl().toString();
            String path = request.getUrl().getPath();
            if (address.startsWith(ORIGIN) && path != null) {
                String name = path.equals("/") ? "index.html" : path.substring(1);
                try {
                    return new WebResourceResponse(type(name), null, 200, "OK", HEADERS, assets.open(name));
                } catch (IOException absent) {
                    Log.i(TAG, "not there: " + name);
                }
            }
            InputStream nothing = new ByteArrayInputStream(new byte[0]);
            return new WebResourceResponse("text/plain", "utf-8", 404, "Not Found", HEADERS, nothing);
        }

        @Override
        public boolean shouldOverrideUrlLoading(WebView from, WebResourceRequest request) {
            return !request.getUrl().toString().startsWith(ORIGIN);
        }
    }

    /** What the page asks the system for: a picture, the camera. */
    private final class Wishes extends WebChromeClient {
        @Override
        public boolean onShowFileChooser(WebView from, ValueCallback<Uri[]> callback, FileChooserParams wanted) {
            if (picking != null) {
                picking.onReceiveValue(null);
            }
            picking = callback;
            try {
                startActivityForResult(wanted.createIntent(), PICK);
            } catch (ActivityNotFoundException error) {
                picking = null;
                Toast.makeText(WebActivity.this, R.string.no_picker, Toast.LENGTH_LONG).show();
                return false;
            }
            return true;
        }

        @Override
        public void onPermissionRequest(PermissionRequest request) {
            String[] wanted = request.getResources();
            boolean camera = wanted.length == 1 && wanted[0].equals(PermissionRequest.RESOURCE_VIDEO_CAPTURE);
            if (!camera || !request.getOrigin().toString().equals(ORIGIN)) {
                request.deny();
                return;
            }
            asking = request;
            if (checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED) {
                answer(true);
            } else {
                requestPermissions(new String[] {Manifest.permission.CAMERA}, CAMERA);
            }
        }

        @Override
        public boolean onConsoleMessage(ConsoleMessage said) {
            Log.i(TAG, said.message());
            return true;
        }
    }

    /** What the page can have this app do; the page is ours alone. */
    private final class Host {
        /** Write results to the app's own folder on the shared storage, whole or not at all; the name of the file. */
        @JavascriptInterface
        public String save(String name, String text) {
            File folder = getExternalFilesDir("bench");
            File file = new File(folder, name.replaceAll("[^A-Za-z0-9_.-]", "_"));
            File part = new File(folder, "." + file.getName() + ".part");
            try (FileOutputStream output = new FileOutputStream(part)) {
                output.write(text.getBytes(StandardCharsets.UTF_8));
            } catch (IOException error) {
                Log.e(TAG, "save", error);
                return getString(R.string.not_saved);
            }
            return part.renameTo(file) ? file.getPath() : getString(R.string.not_saved);
        }
    }
}
