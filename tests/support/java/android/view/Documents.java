package android.view;

import android.Fake;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** The app's XML. */
public final class Documents {
    private Documents() {}

    static Element root(File file) {
        try {
            return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file).getDocumentElement();
        } catch (Exception error) {
            throw new AssertionError(file.toString(), error);
        }
    }

    private static Element value(String kind, String name) {
        for (String file : new String[] {"strings", "arrays"}) {
            NodeList found = root(new File(Fake.resources, "values/" + file + ".xml")).getElementsByTagName(kind);
            for (int place = 0; place < found.getLength(); place++) {
                if (((Element) found.item(place)).getAttribute("name").equals(name)) {
                    return (Element) found.item(place);
                }
            }
        }
        throw new AssertionError("no " + kind + " " + name);
    }

    public static String string(String name) {
        return value("string", name).getTextContent().replace("\\'", "'");
    }

    /** A text of a layout: itself, or the string that it names. */
    static String text(String said) {
        return said.startsWith("@string/") ? string(said.substring(8)) : said;
    }

    static List<String> texts(String array) {
        List<String> texts = new ArrayList<>();
        NodeList items = value("string-array", array).getElementsByTagName("item");
        for (int place = 0; place < items.getLength(); place++) {
            texts.add(text(items.item(place).getTextContent()));
        }
        return texts;
    }
}
