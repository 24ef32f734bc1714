package org.falconedge.demo.screens;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.falconedge.core.Engines;
import org.falconedge.core.Library;
import org.falconedge.core.Manifest;
import org.falconedge.core.Message;
import org.falconedge.core.Model;
import org.falconedge.core.Models;

/** The embedded models that a runtime of this build can run. */
final class Shelf {
    /** What can run a file. */
    static final class Way {
        final Manifest.Export export;
        final Library library;
        final boolean gpu;

        Way(Manifest.Export export, Library library, boolean gpu) {
            this.export = export;
            this.library = library;
            this.gpu = gpu;
        }

        String title() {
            return library.title() + (gpu ? ", GPU" : "");
        }
    }

    /** A model in one precision, and the ways to run it: one at least. */
    static final class Entry {
        final Model model;
        final Manifest manifest;
        final String precision;
        final List<Way> ways = new ArrayList<>();

        Entry(Model model, Manifest manifest, String precision) {
            this.model = model;
            this.manifest = manifest;
            this.precision = precision;
        }

        String title() {
            return model.name + " · " + precision;
        }
    }

    /** Without any. */
    static final Shelf NONE = new Shelf(Collections.emptyList(), Collections.emptyList());

    private static final String WITH_GPU = "litert";

    /** In the order in which they were embedded. */
    final List<Entry> entries;

    /** What is wrong with models that are not among them, a line each. */
    final List<String> complaints;

    private Shelf(List<Entry> entries, List<String> complaints) {
        this.entries = Collections.unmodifiableList(entries);
        this.complaints = Collections.unmodifiableList(complaints);
    }

    /** Read what is embedded. A model that cannot be used is complained of, and costs the others nothing. */
    static Shelf read(Models.Source source, Texts texts) throws Message {
        List<Entry> entries = new ArrayList<>();
        List<String> complaints = new ArrayList<>();
        for (Model model : new Models(source).list()) {
            try {
                int before = entries.size();
                add(model, entries);
                if (entries.size() == before) {
                    complaints.add(texts.of(Text.MODEL_WITHOUT_RUNTIME, model.name));
                }
            } catch (Message | RuntimeException error) {
                complaints.add(texts.of(Text.MODEL_BROKEN, model.name, Problems.line(error)));
            }
        }
        return new Shelf(entries, complaints);
    }

    private static void add(Model model, List<Entry> entries) throws Message {
        Manifest manifest = model.manifest();
        List<Entry> found = new ArrayList<>();
        for (Manifest.Export export : model.exports()) {
            for (Library library : Engines.loading(export.file)) {
                Entry entry = entry(found, model, manifest, export.precision);
                entry.ways.add(new Way(export, library, false));
                if (WITH_GPU.equals(library.name())) {
                    entry.ways.add(new Way(export, library, true));
                }
            }
        }
        entries.addAll(found);
    }

    private static Entry entry(List<Entry> found, Model model, Manifest manifest, String precision) {
        for (Entry entry : found) {
            if (entry.precision.equals(precision)) {
                return entry;
            }
        }
        Entry entry = new Entry(model, manifest, precision);
        found.add(entry);
        return entry;
    }
}
