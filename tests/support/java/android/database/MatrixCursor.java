package android.database;

import java.util.ArrayList;
import java.util.List;

public class MatrixCursor implements Cursor {
    public final class RowBuilder {
        private final List<Object> row = new ArrayList<>();

        public RowBuilder add(Object value) {
            row.add(value);
            return this;
        }
    }

    public final List<RowBuilder> rows = new ArrayList<>();

    public MatrixCursor(String[] columns, int count) {}

    public RowBuilder newRow() {
        rows.add(new RowBuilder());
        return rows.get(rows.size() - 1);
    }

    @Override
    public String toString() {
        return rows.isEmpty() ? "" : rows.get(0).row.toString();
    }
}
