package android.view;

import android.Fake;
import android.content.Context;
import android.util.AttributeSet;
import android.widget.ArrayAdapter;
import android.widget.ProgressBar;
import android.widget.Spinner;
import android.widget.TextView;
import java.io.File;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

public class LayoutInflater {
    private final Context context;

    public LayoutInflater(Context context) {
        this.context = context;
    }

    public static LayoutInflater from(Context context) {
        return new LayoutInflater(context);
    }

    public View inflate(int id, ViewGroup parent, boolean attach) {
        View view = view(document(Fake.name("layout", id)));
        if (attach) {
            parent.addView(view);
        }
        return view;
    }

    private static Element document(String name) {
        File wide = new File(Fake.resources, "layout-land/" + name + ".xml");
        boolean isWide = Fake.landscape && wide.exists();
        return Documents.root(isWide ? wide : new File(Fake.resources, "layout/" + name + ".xml"));
    }

    private View view(Element element) {
        if (element.getTagName().equals("include")) {
            View included = view(document(element.getAttribute("layout").substring("@layout/".length())));
            identify(included, element);
            return included;
        }
        View view = made(element.getTagName());
        identify(view, element);
        if (element.getAttribute("android:visibility").equals("gone")) {
            view.setVisibility(View.GONE);
        }
        if (element.hasAttribute("android:contentDescription")) {
            view.setContentDescription(Documents.text(element.getAttribute("android:contentDescription")));
        }
        if (element.hasAttribute("android:text")) {
            ((TextView) view).setText(Documents.text(element.getAttribute("android:text")));
        }
        if (element.hasAttribute("android:max")) {
            ((ProgressBar) view).setMax(Integer.parseInt(element.getAttribute("android:max")));
        }
        if (element.hasAttribute("android:entries")) {
            String array = element.getAttribute("android:entries").substring("@array/".length());
            ((Spinner) view).setAdapter(new ArrayAdapter<>(context, 0, Documents.texts(array)));
        }
        for (Node child = element.getFirstChild(); child != null; child = child.getNextSibling()) {
            if (child instanceof Element) {
                ((ViewGroup) view).addView(view((Element) child));
            }
        }
        return view;
    }

    private static void identify(View view, Element element) {
        String id = element.getAttribute("android:id");
        if (!id.isEmpty()) {
            view.id = Fake.id("id", id.substring(id.indexOf('/') + 1));
        }
    }

    private View made(String tag) {
        for (String prefix : tag.contains(".") ? new String[] {""} : new String[] {"android.widget.", "android.view."}) {
            try {
                Class<?> type = Class.forName(prefix + tag);
                return (View) type.getConstructor(Context.class, AttributeSet.class).newInstance(context, null);
            } catch (ClassNotFoundException other) {
                continue;
            } catch (ReflectiveOperationException error) {
                throw new AssertionError(tag, error);
            }
        }
        throw new AssertionError("no such view: " + tag);
    }
}
