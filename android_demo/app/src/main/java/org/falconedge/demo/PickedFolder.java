package org.falconedge.demo;

import android.content.ContentResolver;
import android.database.Cursor;
import android.net.Uri;
import android.provider.DocumentsContract;
import android.provider.DocumentsContract.Document;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.falconedge.demo.screens.ClassifyScreen;
import org.falconedge.demo.screens.Folder;

/** A folder that the user has picked in another app, or what lies below it. */
final class PickedFolder implements Folder.Entry {
    private static final String[] COLUMNS = {
        Document.COLUMN_DOCUMENT_ID, Document.COLUMN_DISPLAY_NAME, Document.COLUMN_MIME_TYPE
    };

    private final ContentResolver resolver;
    private final Pictures pictures;
    private final Uri tree;
    private final String id;
    private final String name;
    private final boolean isFolder;

    /** What was picked, as Intent.ACTION_OPEN_DOCUMENT_TREE gives it. */
    PickedFolder(ContentResolver resolver, Pictures pictures, Uri tree) {
        this(resolver, pictures, tree, DocumentsContract.getTreeDocumentId(tree), "", true);
    }

    private PickedFolder(
            ContentResolver resolver, Pictures pictures, Uri tree, String id, String name, boolean isFolder) {
        this.resolver = resolver;
        this.pictures = pictures;
        this.tree = tree;
        this.id = id;
        this.name = name;
        this.isFolder = isFolder;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public List<Folder.Entry> entries() throws IOException {
        if (!isFolder) {
            return null;
        }
        List<Folder.Entry> entries = new ArrayList<>();
        Uri children = DocumentsContract.buildChildDocumentsUriUsingTree(tree, id);
        try (Cursor cursor = resolver.query(children, COLUMNS, null, null, null)) {
            while (cursor != null && cursor.moveToNext()) {
                boolean inside = Document.MIME_TYPE_DIR.equals(cursor.getString(2));
                String child = String.valueOf(cursor.getString(1));
                entries.add(new PickedFolder(resolver, pictures, tree, cursor.getString(0), child, inside));
            }
        } catch (SecurityException | IllegalArgumentException error) { // it is gone, or no longer given
            throw new IOException(error.getMessage(), error);
        }
        return entries;
    }

    @Override
    public ClassifyScreen.Picture picture() {
        Uri uri = DocumentsContract.buildDocumentUriUsingTree(tree, id);
        return () -> pictures.image(uri);
    }
}
