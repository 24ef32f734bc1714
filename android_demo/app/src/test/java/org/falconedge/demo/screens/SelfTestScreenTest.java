package org.falconedge.demo.screens;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import org.falconedge.demo.screens.SelfTestScreen.Stand;
import org.falconedge.engines.OrtLibrary;
import org.junit.Test;

/** Every state of the self-test. */
public class SelfTestScreenTest extends Phones {
    private static Stand stand(SelfTestScreen screen, int row) {
        return screen.state.rows.get(row).stand;
    }

    @Test
    public void allPass() {
        SelfTestScreen screen = started().selfTest;
        assertEquals(4, screen.state.rows.size());
        assertEquals("standard · fp32, Stand-in", screen.state.rows.get(0).title);
        assertEquals("Not run yet", screen.state.rows.get(0).text);
        screen.run();
        assertTrue(screen.state.running);
        screen.run(); // once is enough
        assertEquals(1, hand.works.size());
        hand.all();
        assertFalse(screen.state.running);
        assertEquals("All 4 pass: this device computes what the export computed", screen.state.notice);
        assertEquals(Stand.PASSED, stand(screen, 3));
        assertTrue(screen.state.rows.get(3).text, screen.state.rows.get(3).text.startsWith("Self-test passed: "));
        assertEquals(0, OrtLibrary.open);
    }

    @Test
    public void someFail() {
        embedded = new Embedded()
                .add("standard", "standard", Embedded.network("classes", 0))
                .add("falcon", "compressed", Embedded.network("classes", 0.5f));
        SelfTestScreen screen = started().selfTest;
        screen.run();
        hand.all();
        assertEquals("2 of 4 pass", screen.state.notice);
        assertEquals(Stand.FAILED, stand(screen, 2));
        assertTrue(screen.state.rows.get(2).text, screen.state.rows.get(2).text.contains("differs: "));
    }

    @Test
    public void oneThatCannotBeLoadedCostsTheOthersNothing() {
        embedded.files.put("standard/exports/model.int8.onnx", new byte[3]);
        SelfTestScreen screen = started().selfTest;
        screen.run();
        hand.all();
        assertEquals("3 of 4 pass", screen.state.notice);
        assertEquals(Stand.FAILED, stand(screen, 1));
        assertTrue(screen.state.rows.get(1).text, screen.state.rows.get(1).text.contains("embed the model again"));
        assertEquals(Stand.PASSED, stand(screen, 2));
    }

    @Test
    public void cancelled() {
        SelfTestScreen screen = started().selfTest;
        int[] runs = {0};
        OrtLibrary.onRun = () -> {
            if (++runs[0] == 2) {
                screen.cancel();
            }
        };
        screen.run();
        hand.all();
        assertEquals("Cancelled", screen.state.notice);
        assertFalse(screen.state.running);
        assertEquals(Stand.PASSED, stand(screen, 0));
        assertEquals(Stand.PASSED, stand(screen, 1)); // it was at work
        assertEquals(Stand.WAITING, stand(screen, 2));
        assertEquals("Not run yet", screen.state.rows.get(2).text);
        OrtLibrary.onRun = () -> {};
        screen.run();
        hand.all();
        assertEquals("All 4 pass: this device computes what the export computed", screen.state.notice);
    }

    @Test
    public void progressIsSeen() {
        SelfTestScreen screen = started().selfTest;
        StringBuilder seen = new StringBuilder();
        screen.attach(state -> {
            for (SelfTestScreen.Row row : state.rows) {
                seen.append(row.stand.name().charAt(0));
            }
            seen.append(' ');
        });
        screen.run();
        hand.all();
        assertEquals("WWWW WWWW RWWW PWWW PRWW PPWW PPRW PPPW PPPR PPPP PPPP ", seen.toString());
    }

    @Test
    public void withoutModels() {
        embedded = new Embedded();
        SelfTestScreen screen = started().selfTest;
        assertTrue(screen.state.notice, screen.state.notice.startsWith("The embedded models cannot be read: index.json"));
        screen.run();
        assertFalse(screen.state.running);
    }
}
