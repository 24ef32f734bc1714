package org.falconedge.core;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;

/** The project's docs/, which tests read: the property `docs` says where. */
final class Documents {
    private Documents() {}

    static String text(String name) throws IOException, Message {
        String docs = System.getProperty("docs");
        if (docs == null) {
            throw new IOException("run with -Ddocs=FOLDER, the project's docs");
        }
        return Models.text(Hash.read(new FileInputStream(new File(docs, name)), 1 << 24, name), name);
    }
}
