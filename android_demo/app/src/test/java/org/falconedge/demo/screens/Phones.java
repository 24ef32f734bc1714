package org.falconedge.demo.screens;

import java.io.File;
import java.util.Locale;
import org.falconedge.core.Image;
import org.falconedge.engines.OrtLibrary;
import org.junit.Before;
import org.junit.Rule;
import org.junit.rules.TemporaryFolder;

/** What tests of screens have: an app on a bench, with two models of 2 x 2 pixels. */
public abstract class Phones {
    @Rule
    public final TemporaryFolder storage = new TemporaryFolder();

    final Hand hand = new Hand();
    final Memory settings = new Memory();
    final Bench bench = new Bench();
    Embedded embedded = new Embedded()
            .add("standard", "standard", Embedded.network("classes", 0))
            .add("falcon", "compressed", Embedded.network("classes", 0));

    @Before
    public void quiet() {
        Locale.setDefault(Locale.ROOT);
        OrtLibrary.onRun = () -> bench.clock += 1_000_000;
        OrtLibrary.open = 0;
    }

    /** The app, before it has read its models. */
    Demo closed() {
        File root = storage.getRoot();
        return new Demo(
                embedded.source(),
                hand,
                new Resources(),
                settings,
                bench,
                new File(root, "results"),
                new File(root, "cache"),
                new File(root, "exports"));
    }

    /** The app, with its models read. */
    Demo started() {
        Demo demo = closed();
        demo.start();
        hand.all();
        return demo;
    }

    /** Grey pixels, row by row, as many rows as columns. */
    static Image grey(int... pixels) {
        byte[] bytes = new byte[pixels.length];
        for (int place = 0; place < bytes.length; place++) {
            bytes[place] = (byte) pixels[place];
        }
        int size = (int) Math.round(Math.sqrt(bytes.length));
        return new Image(size, size, 1, bytes);
    }
}
