package android.content;

import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.provider.DocumentsContract.Document;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.InputStream;

public class ContentResolver {
    public InputStream openInputStream(Uri uri) throws FileNotFoundException {
        return new FileInputStream(uri.getPath());
    }

    /** What is in a folder: the columns of documents. */
    public Cursor query(Uri uri, String[] columns, String selection, String[] arguments, String order) {
        MatrixCursor cursor = new MatrixCursor(columns, 0);
        File[] files = new File(uri.getPath()).listFiles();
        if (files == null) {
            throw new IllegalArgumentException(uri + " is not there");
        }
        for (File file : files) {
            String type = file.isDirectory() ? Document.MIME_TYPE_DIR : "image/png";
            cursor.newRow().add(file.getPath()).add(file.getName()).add(type);
        }
        return cursor;
    }
}
