package org.falconedge.demo.screens;

import java.io.File;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** The app's own string resources, read from their XML as Android would. */
final class Resources implements Texts {
    private static final Map<String, String> STRINGS = new HashMap<>();

    static {
        try {
            String path = System.getProperty("falconedge.strings", "src/main/res/values/strings.xml");
            NodeList found = DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(new File(path))
                    .getElementsByTagName("string");
            for (int place = 0; place < found.getLength(); place++) {
                Element string = (Element) found.item(place);
                STRINGS.put(string.getAttribute("name"), string.getTextContent().replace("\\'", "'"));
            }
        } catch (Exception error) {
            throw new ExceptionInInitializerError(error);
        }
    }

    @Override
    public String of(Text text, Object... values) {
        String string = STRINGS.get("text_" + text.name().toLowerCase(Locale.ROOT));
        if (string == null) {
            throw new AssertionError("no string for " + text);
        }
        return String.format(Locale.ROOT, string, values);
    }
}
