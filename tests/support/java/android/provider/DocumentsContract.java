package android.provider;

import android.net.Uri;
import java.io.File;

/** Documents are files, whose paths are their ids. */
public final class DocumentsContract {
    public static final class Document {
        public static final String COLUMN_DOCUMENT_ID = "document_id";
        public static final String COLUMN_DISPLAY_NAME = "_display_name";
        public static final String COLUMN_MIME_TYPE = "mime_type";
        public static final String MIME_TYPE_DIR = "vnd.android.document/directory";
    }

    public static String getTreeDocumentId(Uri tree) {
        return tree.getPath();
    }

    public static Uri buildChildDocumentsUriUsingTree(Uri tree, String id) {
        return Uri.fromFile(new File(id));
    }

    public static Uri buildDocumentUriUsingTree(Uri tree, String id) {
        return Uri.fromFile(new File(id));
    }
}
