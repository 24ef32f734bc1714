package android.media;

import android.Fake;
import java.io.InputStream;

public class ExifInterface {
    public ExifInterface(InputStream stream) {}

    public int getAttributeInt(String tag, int otherwise) {
        return Fake.orientation == 0 ? otherwise : Fake.orientation;
    }
}
