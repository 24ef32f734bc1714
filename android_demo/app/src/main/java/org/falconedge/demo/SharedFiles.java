package org.falconedge.demo;

import android.app.Activity;
import android.content.ClipData;
import android.content.ContentProvider;
import android.content.ContentValues;
import android.content.Intent;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;

/** Gives results files to the apps that the user shares them with, to be read. */
public final class SharedFiles extends ContentProvider {
    private static final String AUTHORITY = "org.falconedge.demo.files";
    private static final String TYPE = "application/json";

    /** Let the user choose an app that a file is given to. */
    static void share(Activity activity, File file) {
        String path = App.of(activity).offered().path(file);
        Uri uri = new Uri.Builder().scheme("content").authority(AUTHORITY).path(path).build();
        Intent intent = new Intent(Intent.ACTION_SEND).setType(TYPE);
        intent.putExtra(Intent.EXTRA_STREAM, uri);
        intent.setClipData(ClipData.newRawUri(file.getName(), uri));
        intent.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        activity.startActivity(Intent.createChooser(intent, activity.getString(R.string.shared_with)));
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        if (!"r".equals(mode)) {
            throw new FileNotFoundException(uri + " can be read only");
        }
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY);
    }

    @Override
    public Cursor query(Uri uri, String[] columns, String selection, String[] arguments, String order) {
        String[] wanted =
                columns == null ? new String[] {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE} : columns;
        MatrixCursor cursor = new MatrixCursor(wanted, 1);
        try {
            File file = file(uri);
            MatrixCursor.RowBuilder row = cursor.newRow();
            for (String column : wanted) {
                boolean name = OpenableColumns.DISPLAY_NAME.equals(column);
                row.add(name ? file.getName() : OpenableColumns.SIZE.equals(column) ? (Object) file.length() : null);
            }
        } catch (FileNotFoundException absent) {
            return cursor; // of nothing
        }
        return cursor;
    }

    private File file(Uri uri) throws FileNotFoundException {
        return App.of(getContext()).offered().file(uri.getPath());
    }

    @Override
    public String getType(Uri uri) {
        return TYPE;
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int delete(Uri uri, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int update(Uri uri, ContentValues values, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }
}
