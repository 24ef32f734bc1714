package android.content.res;

import android.Fake;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;

public class AssetManager {
    public InputStream open(String path) throws IOException {
        return new FileInputStream(new File(Fake.storage, "assets/" + path));
    }
}
