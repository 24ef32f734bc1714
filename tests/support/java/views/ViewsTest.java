package org.falconedge.demo.screens;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import android.Fake;
import android.content.Intent;
import android.hardware.camera2.CameraDevice;
import android.media.ImageReader;
import android.net.Uri;
import android.os.Bundle;
import android.system.Os;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.EditText;
import android.widget.ImageView;
import android.widget.RadioGroup;
import android.widget.Spinner;
import android.widget.Switch;
import android.widget.TextView;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.FileNotFoundException;
import java.util.Locale;
import java.util.Map;
import javax.imageio.ImageIO;
import org.falconedge.core.Json;
import org.falconedge.demo.App;
import org.falconedge.demo.BenchmarkActivity;
import org.falconedge.demo.MainActivity;
import org.falconedge.demo.R;
import org.falconedge.demo.SharedFiles;
import org.falconedge.engines.OrtLibrary;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** The app with its activities and layouts, on a device that only acts Android: what a user touches, and sees. */
public class ViewsTest {
    @Rule
    public final TemporaryFolder storage = new TemporaryFolder();

    private MainActivity app;

    @Before
    public void install() throws Exception {
        Locale.setDefault(Locale.ROOT);
        OrtLibrary.onRun = () -> {};
        Fake.storage = storage.getRoot();
        Fake.resources = new File(System.getProperty("falconedge.res"));
        Fake.install(App.class, R.class);
        Embedded embedded = new Embedded()
                .add("standard", "standard", Embedded.network("classes", 0))
                .add("falcon", "compressed", Embedded.network("map", 0));
        for (Map.Entry<String, byte[]> file : embedded.files.entrySet()) {
            File path = new File(storage.getRoot(), "assets/models/" + file.getKey());
            Files.folder(path.getParentFile());
            java.nio.file.Files.write(path.toPath(), file.getValue());
        }
    }

    private void start() throws Exception {
        app = Fake.launch(MainActivity.class, new Intent("MAIN"), null);
        Fake.until(() -> !text(R.id.notice).equals("Reading the models"));
    }

    private <V extends View> V view(int id) {
        return app.findViewById(id);
    }

    private String text(int id) {
        TextView view = view(id);
        return view.getText().toString();
    }

    private boolean isSeen(int id) {
        View view = view(id);
        return view.isShown();
    }

    private void touch(int id) {
        view(id).performClick();
        Fake.settle();
    }

    private void open(int tab) {
        RadioGroup tabs = view(R.id.tabs);
        tabs.check(tab);
        Fake.settle();
    }

    private void choose(int group, int list, int place) {
        Spinner spinner = view(group).findViewById(list);
        assertTrue(spinner.isShown() && spinner.isEnabled());
        spinner.setSelection(place);
        Fake.settle();
    }

    private ViewGroup answers() {
        return view(R.id.answers);
    }

    private static String said(View parent, int id) {
        TextView text = parent.findViewById(id);
        return text.getText().toString();
    }

    private File picture(String name, int... pixels) throws Exception {
        BufferedImage image = new BufferedImage(2, 2, BufferedImage.TYPE_BYTE_GRAY);
        image.getRaster().setPixels(0, 0, 2, 2, pixels);
        File file = new File(storage.getRoot(), name);
        Files.folder(file.getParentFile());
        ImageIO.write(image, "png", file);
        return file;
    }

    private void pick(File file) {
        app.bring(1, new Intent("picked").setData(Uri.fromFile(file)));
    }

    private void coat() throws Exception {
        pick(picture("coat.png", 0, 50, 255, 100));
        Fake.until(() -> answers().getChildCount() > 0 && !isSeen(R.id.busy));
    }

    @Test
    public void aRuntimeThatIsLoadedLaterReportsToNobody() throws Exception {
        start();
        assertEquals("1", Os.ENVIRONMENT.get("ORT_DISABLE_TELEMETRY"));
    }

    @Test
    public void classify() throws Exception {
        start();
        assertEquals("Pick an image, or use the camera", text(R.id.notice));
        ImageView picture = view(R.id.picture);
        assertEquals("No image yet", picture.getContentDescription());
        touch(R.id.gallery);
        assertEquals("image/*", Fake.STARTED.get(0).type);
        coat();
        ViewGroup lines = answers().getChildAt(0).findViewById(R.id.lines);
        assertEquals("coat", said(lines.getChildAt(0), R.id.label));
        assertEquals(4, lines.getChildCount());
        assertEquals("The image that was classified", picture.getContentDescription());
        assertEquals(2, picture.bitmap.getWidth());
        assertEquals(0xff323232, picture.bitmap.argb[1]);
        assertTrue(text(R.id.self_test).contains("Self-test passed"));
        assertFalse(isSeen(R.id.notice));
    }

    @Test
    public void photosAreTurned() throws Exception {
        start();
        Fake.orientation = 6;
        pick(picture("turned.png", 255, 0, 0, 0));
        Fake.until(() -> answers().getChildCount() > 0);
        ViewGroup lines = answers().getChildAt(0).findViewById(R.id.lines);
        assertEquals("bag", said(lines.getChildAt(0), R.id.label));
    }

    @Test
    public void sideBySideAndAMap() throws Exception {
        start();
        coat();
        assertFalse(isSeen(R.id.second));
        Switch pair = view(R.id.side_by_side);
        pair.setChecked(true);
        assertTrue(isSeen(R.id.second));
        Fake.until(() -> answers().getChildCount() == 2);
        choose(R.id.second, R.id.model, 2);
        Fake.until(() -> said(answers().getChildAt(1), R.id.title).startsWith("falcon · fp32"));
        View second = answers().getChildAt(1);
        ImageView map = second.findViewById(R.id.map);
        assertTrue(map.isShown());
        assertEquals(2, map.bitmap.getWidth());
        String said = map.getContentDescription().toString();
        assertEquals("The image with the map over it: ankle boot 50.0%, bag 50.0%", said);
        assertTrue(text(R.id.speedup).endsWith("times as fast"));
        pair.setChecked(false);
        Fake.until(() -> answers().getChildCount() == 1);
        assertFalse(isSeen(R.id.speedup));
    }

    @Test
    public void turningTheDevice() throws Exception {
        start();
        coat();
        choose(R.id.first, R.id.model, 1);
        Fake.until(() -> said(answers().getChildAt(0), R.id.title).startsWith("standard · int8"));
        MainActivity before = app;
        app = Fake.turn(MainActivity.class, app);
        assertNotSame(before, app);
        Spinner model = view(R.id.first).findViewById(R.id.model);
        assertEquals(1, model.getSelectedItemPosition());
        assertEquals(1, answers().getChildCount());
        ImageView picture = view(R.id.picture);
        assertEquals(2, picture.bitmap.getWidth());
        open(R.id.tab_benchmark);
        app = Fake.turn(MainActivity.class, app);
        RadioGroup tabs = view(R.id.tabs);
        assertEquals(R.id.tab_benchmark, tabs.getCheckedRadioButtonId());
        assertTrue(isSeen(R.id.run));
    }

    /** Android ends the process behind the gallery, and starts it anew for what was picked. */
    @Test
    public void aNewProcessForWhatWasPicked() throws Exception {
        start();
        touch(R.id.gallery);
        Fake.restart(App.class);
        app = MainActivity.class.getDeclaredConstructor().newInstance();
        app.create(new Bundle());
        app.start();
        pick(picture("coat.png", 0, 50, 255, 100));
        Fake.until(() -> answers().getChildCount() == 1);
    }

    @Test
    public void picturesThatAreNone() throws Exception {
        start();
        File text = storage.newFile("text.png");
        java.nio.file.Files.write(text.toPath(), new byte[] {1, 2, 3});
        for (File file : new File[] {text, new File(storage.getRoot(), "gone.png")}) {
            pick(file);
            Fake.until(() -> text(R.id.notice).equals("This is no image that this device can read"));
            coat();
        }
        Fake.gallery = false;
        touch(R.id.gallery);
        assertEquals("No app on this device can pick anything", text(R.id.notice));
    }

    @Test
    public void cameras() throws Exception {
        start();
        touch(R.id.camera);
        assertEquals("This device has no camera: pick an image", text(R.id.notice));
        Fake.camera = true;
        touch(R.id.camera);
        assertEquals("android.permission.CAMERA", Fake.ASKED.get(0));
        app.onRequestPermissionsResult(2, new String[] {"android.permission.CAMERA"}, new int[] {-1});
        assertTrue(text(R.id.notice).startsWith("The camera needs your permission"));
        app.onRequestPermissionsResult(2, new String[] {"android.permission.CAMERA"}, new int[] {0});
        assertTrue(isSeen(R.id.preview) && isSeen(R.id.capture) && isSeen(R.id.live));
        assertFalse(isSeen(R.id.picture));
        assertEquals("Stop", text(R.id.camera));
        Fake.allowed = true;
        touch(R.id.live);
        assertEquals("Stop", text(R.id.live));
        app = Fake.turn(MainActivity.class, app);
        assertTrue(isSeen(R.id.preview));
        assertEquals("Stop", text(R.id.live));
        touch(R.id.camera);
        assertFalse(isSeen(R.id.preview));
        assertEquals("Camera", text(R.id.camera));
        touch(R.id.camera);
        open(R.id.tab_self_test);
        open(R.id.tab_classify);
        assertFalse("nobody has seen it meanwhile", isSeen(R.id.preview));
        app.stop();
    }

    private void cameraOn() throws Exception {
        start();
        Fake.camera = Fake.allowed = true;
        CameraDevice.open = 0;
        touch(R.id.camera);
        assertEquals(1, CameraDevice.open);
    }

    private String first() {
        return said(((ViewGroup) answers().getChildAt(0).findViewById(R.id.lines)).getChildAt(0), R.id.label);
    }

    @Test
    public void liveUprightHoweverTheDeviceIsHeld() throws Exception {
        cameraOn();
        ImageReader.see(255, 0, 0, 0);
        Fake.settle();
        assertEquals("a preview is not classified", 0, answers().getChildCount());
        touch(R.id.live);
        ImageReader.see(255, 0, 0, 0);
        Fake.until(() -> answers().getChildCount() == 1);
        assertEquals("bag", first()); // the sensor's left is the top
        app = Fake.turn(MainActivity.class, app);
        assertEquals("the former one is closed, and opened again", 1, CameraDevice.open);
        ImageReader.see(0, 0, 255, 0);
        Fake.until(() -> first().equals("coat"));
        touch(R.id.live);
        ImageReader.see(0, 0, 0, 255);
        Fake.settle();
        assertEquals("coat", first());
        app.stop();
        assertEquals(0, CameraDevice.open);
    }

    @Test
    public void aCapturedFrameStays() throws Exception {
        cameraOn();
        touch(R.id.capture);
        ImageReader.see(0, 255, 0, 0);
        Fake.until(() -> answers().getChildCount() == 1);
        assertEquals("dress", first());
        assertEquals(0, CameraDevice.open);
        ImageView picture = view(R.id.picture);
        assertTrue(picture.isShown());
        assertEquals(0xffffffff, picture.bitmap.argb[3]);
        ImageReader.see(255, 0, 0, 0); // one that was on its way
        Fake.settle();
        assertEquals("dress", first());
    }

    @Test
    public void camerasThatFail() throws Exception {
        cameraOn();
        Fake.unplug.run();
        assertEquals("The camera cannot be used: 0", text(R.id.notice));
        assertEquals(0, CameraDevice.open);
        assertFalse(isSeen(R.id.preview));
        Fake.cameraFails = "disabled by policy";
        touch(R.id.camera);
        assertEquals("The camera cannot be used: disabled by policy", text(R.id.notice));
        Fake.cameraFails = null;
        view(R.id.camera).performClick(); // on, and off before it is there
        view(R.id.camera).performClick();
        Fake.settle();
        assertEquals(0, CameraDevice.open);
    }

    @Test
    public void selfTest() throws Exception {
        start();
        open(R.id.tab_self_test);
        Button cancel = view(R.id.cancel);
        assertFalse(cancel.isEnabled());
        touch(R.id.run);
        Fake.until(() -> text(R.id.notice).startsWith("All 4 pass"));
        ViewGroup rows = view(R.id.rows);
        assertEquals("falcon · int8, Stand-in", said(rows.getChildAt(3), R.id.title));
        assertTrue(said(rows.getChildAt(3), R.id.text).startsWith("Self-test passed"));
        assertTrue(view(R.id.run).isEnabled());
    }

    @Test
    public void benchmark() throws Exception {
        start();
        open(R.id.tab_benchmark);
        assertFalse(isSeen(R.id.shown_actions));
        EditText runs = view(R.id.runs);
        assertEquals("100", runs.getText().toString());
        runs.focus = true;
        runs.setText("");
        Switch cool = view(R.id.wait_until_cool);
        cool.setChecked(true);
        cool.setChecked(false);
        assertEquals("what the user is typing stays", "", runs.getText().toString());
        runs.setText("20");
        Spinner mode = view(R.id.mode);
        assertEquals("One after the other", mode.getItemAtPosition(0));
        for (int time = 0; time < 2; time++) {
            int wanted = time + 1;
            touch(R.id.run);
            View content = view(R.id.progress).parent.parent;
            assertTrue(isSeen(R.id.progress) && !view(R.id.run).isEnabled() && content.getKeepScreenOn());
            ViewGroup history = view(R.id.history);
            Fake.until(() -> history.getChildCount() == wanted && view(R.id.run).isEnabled());
        }
        ViewGroup rows = view(R.id.rows);
        assertEquals("Median", said(rows.getChildAt(0), R.id.name));
        assertEquals("Memory (PSS)", said(rows.getChildAt(3), R.id.name));
        assertEquals("102.4 MB before, 102.4 MB after", said(rows.getChildAt(3), R.id.value));
        assertEquals("0.50 before, 0.50 after", said(rows.getChildAt(5), R.id.value));
        assertEquals("light before, light after", said(rows.getChildAt(6), R.id.value));
        ViewGroup history = view(R.id.history);
        Button baseline = history.getChildAt(1).findViewById(R.id.baseline);
        assertTrue(baseline.getContentDescription().toString().startsWith("Baseline: standard · model.fp32.onnx"));
        baseline.performClick();
        assertEquals("No baseline", baseline.getText().toString());
        assertTrue(said(rows.getChildAt(0), R.id.difference).matches("[+-][0-9.]+%"));
        assertTrue(rows.getChildAt(0).getContentDescription().toString().endsWith("against the baseline)"));
        touch(R.id.export);
        assertTrue(text(R.id.notice).startsWith("Written to "));
        String written = Files.text(new File(text(R.id.notice).substring("Written to ".length())));
        assertTrue(written, written.contains("\"device\": \"phone:Fake\""));
        assertTrue(written, written.contains("\"battery\": \"80%, charging\", \"thermal_status\": 1"));
        touch(R.id.share);
        Intent target = (Intent) Fake.STARTED.get(0).getExtras().get("target");
        Uri uri = (Uri) target.getExtras().get("android.intent.extra.STREAM");
        SharedFiles files = new SharedFiles();
        assertNull(files.openFile(uri, "r")); // Android's is not here; it was not refused
        assertTrue(files.query(uri, null, null, null, null).toString().contains(".json, "));
        assertEquals("application/json", files.getType(uri));
        try {
            files.openFile(uri, "rw");
            throw new AssertionError();
        } catch (FileNotFoundException expected) {
            assertTrue(expected.getMessage().endsWith("can be read only"));
        }
        app = Fake.turn(MainActivity.class, app);
        assertEquals("20", text(R.id.runs));
        ViewGroup again = view(R.id.history);
        Button delete = again.getChildAt(0).findViewById(R.id.delete);
        delete.performClick();
        assertEquals(1, again.getChildCount());
        assertFalse(isSeen(R.id.shown_actions));
    }

    @Test
    public void minutesAreForSustainedRuns() throws Exception {
        start();
        open(R.id.tab_benchmark);
        assertFalse(view(R.id.minutes).isEnabled());
        Spinner mode = view(R.id.mode);
        mode.setSelection(2);
        Fake.settle();
        assertTrue(view(R.id.minutes).isEnabled());
        assertFalse(view(R.id.runs).isEnabled());
        app = Fake.turn(MainActivity.class, app);
        mode = view(R.id.mode);
        assertEquals(2, mode.getSelectedItemPosition());
        Fake.settle();
        assertTrue("Android's own first choice changes nothing", view(R.id.minutes).isEnabled());
        touch(R.id.run);
        touch(R.id.cancel);
        Fake.until(() -> view(R.id.run).isEnabled());
        assertTrue(text(R.id.notice).startsWith("Cancelled"));
    }

    @Test
    public void accuracy() throws Exception {
        start();
        open(R.id.tab_accuracy);
        String where = text(R.id.where);
        assertEquals("adb push FOLDER " + new File(storage.getRoot(), "external/images"), where);
        touch(R.id.pushed);
        Fake.until(() -> text(R.id.notice).startsWith("No images"));
        picture("external/images/coat/1.png", 0, 0, 255, 0);
        picture("external/images/bag/2.png", 0, 0, 255, 0);
        touch(R.id.pushed);
        Fake.until(() -> isSeen(R.id.result));
        assertEquals("1 of 2 images are of the class that their folder is called by (50.0%)", text(R.id.result));
        touch(R.id.share);
        assertEquals(1, Fake.STARTED.size());
        touch(R.id.pick);
        assertEquals("android.intent.action.OPEN_DOCUMENT_TREE", Fake.STARTED.get(1).action);
        picture("picked/test/dress/b.png", 1, 2, 3, 4);
        picture("picked/a.png", 4, 3, 2, 1);
        pick(new File(storage.getRoot(), "picked"));
        Fake.until(() -> text(R.id.result).startsWith("1 of 1 images are of the class"));
        String said = Files.text(new File(storage.getRoot(), "external/results/accuracy.json"));
        String images = "\"images\": [\"a.png\", \"test/dress/b.png\"], \"targets\": [null, 3], \"classes\": [0, 3]";
        assertTrue(said, said.contains(images));
        pick(new File(storage.getRoot(), "gone"));
        Fake.until(() -> text(R.id.notice).endsWith("gone is not there"));
    }

    @Test
    public void withoutModelsEveryTabSaysWhy() throws Exception {
        assertTrue(new File(storage.getRoot(), "assets/models/index.json").delete());
        start();
        for (int tab : new int[] {R.id.tab_self_test, R.id.tab_benchmark, R.id.tab_accuracy, R.id.tab_classify}) {
            open(tab);
            assertTrue(text(R.id.notice), text(R.id.notice).startsWith("The embedded models cannot be read"));
        }
        pick(picture("a.png", 1, 2, 3, 4));
        Fake.until(() -> text(R.id.notice).startsWith("There is no model in this app"));
    }

    private Map<?, ?> answer(String id) throws Exception {
        File file = new File(storage.getRoot(), "files/bench/" + id + ".json");
        Fake.until(file::exists);
        return (Map<?, ?>) Json.parse(Files.text(file));
    }

    private static Intent request(String id, String action) {
        return new Intent(null).putExtra("contract", 1).putExtra("id", id).putExtra("do", action);
    }

    @Test
    public void requestsOverAdb() throws Exception {
        BenchmarkActivity bench = Fake.launch(BenchmarkActivity.class, request("one", "memory"), null);
        assertTrue((Long) answer("one").get("resident") > 0);
        bench.again(request("two", "measure"));
        assertEquals("no file is loaded", answer("two").get("error"));
        bench.again(request("three", "memory").putExtra("contract", 2));
        assertEquals("contract", answer("three").get("kind"));
        Fake.until(() -> Fake.LOG.size() == 3);
        assertEquals("FalconEdge BENCH_DONE one", Fake.LOG.get(0));
        Fake.settle();
        TextView log = bench.findViewById(R.id.log);
        assertEquals("BENCH_DONE one\nBENCH_DONE two\nBENCH_DONE three", log.getText().toString());
        BenchmarkActivity turned = Fake.turn(BenchmarkActivity.class, bench);
        log = turned.findViewById(R.id.log);
        assertEquals("BENCH_DONE one\nBENCH_DONE two\nBENCH_DONE three", log.getText().toString());
        turned.again(request("four", "memory"));
        answer("four");
        Fake.until(() -> Fake.LOG.size() == 4); // the first one was not answered again
    }
}
