package org.falconedge.core;

/** Where the pixels of an image lie in an input that was made of it: each step moves and scales them. */
public final class Placement {
    private final int height;
    private final int width;
    private final double down;
    private final double across;
    private final double top;
    private final double left;

    /** Of an image that is the input itself. */
    Placement(int height, int width) {
        this(height, width, 1, 1, 0, 0);
    }

    private Placement(int height, int width, double down, double across, double top, double left) {
        this.height = height;
        this.width = width;
        this.down = down;
        this.across = across;
        this.top = top;
        this.left = left;
    }

    /** After a step that makes `down` and `across` pixels of one, and puts the first at these places. */
    Placement then(int toHeight, int toWidth, double byDown, double byAcross, double toTop, double toLeft) {
        return new Placement(
                toHeight,
                toWidth,
                down * byDown,
                across * byAcross,
                top * byDown + toTop,
                left * byAcross + toLeft);
    }

    /** The row of the input that the middle of a row of the image lies in; -1: none. */
    public int row(int row) {
        return inside(down * (row + 0.5) + top, height);
    }

    /** The column of the input that the middle of a column of the image lies in; -1: none. */
    public int column(int column) {
        return inside(across * (column + 0.5) + left, width);
    }

    private static int inside(double place, int size) {
        return place >= 0 && place < size ? (int) place : -1;
    }
}
