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
    private int at = -1;

    public MatrixCursor(String[] columns, int count) {}

    public RowBuilder newRow() {
        rows.add(new RowBuilder());
        return rows.get(rows.size() - 1);
    }

    @Override
    public boolean moveToNext() {
        return ++at < rows.size();
    }

    @Override
    public String getString(int column) {
        return String.valueOf(rows.get(at).row.get(column));
    }

    @Override
    public void close() {}

    @Override
    public String toString() {
        return rows.isEmpty() ? "" : rows.get(0).row.toString();
    }
}
