package android.net;

import android.os.Parcelable;
import java.io.File;

public class Uri implements Parcelable {
    public static class Builder {
        private String scheme;
        private String authority;
        private String path;

        public Builder scheme(String given) {
            scheme = given;
            return this;
        }

        public Builder authority(String given) {
            authority = given;
            return this;
        }

        public Builder path(String given) {
            path = given;
            return this;
        }

        public Uri build() {
            return new Uri(scheme + "://" + authority, "/" + path);
        }
    }

    private final String head;
    private final String path;

    private Uri(String head, String path) {
        this.head = head;
        this.path = path;
    }

    public static Uri fromFile(File file) {
        return new Uri("file://", file.getPath());
    }

    public String getPath() {
        return path;
    }

    public String getLastPathSegment() {
        return path.substring(path.lastIndexOf('/') + 1);
    }

    @Override
    public String toString() {
        return head + path;
    }
}
