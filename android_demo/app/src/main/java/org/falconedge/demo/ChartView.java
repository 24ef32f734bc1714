package org.falconedge.demo;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.graphics.Path;
import android.util.AttributeSet;
import android.view.View;

/** A line from left to right, from 0 at the bottom to a little more than its highest value at the top. */
public final class ChartView extends View {
    private static final double HEADROOM = 1.1;
    private static final float LINE_DP = 2;

    private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
    private double[] x = {};
    private double[] y = {};

    public ChartView(Context context, AttributeSet attributes) {
        super(context, attributes);
        paint.setColor(context.getColor(R.color.accent));
        paint.setStyle(Paint.Style.STROKE);
        paint.setStrokeWidth(LINE_DP * getResources().getDisplayMetrics().density);
    }

    /** Draw these values, as many of the one as of the other, and say this of them. */
    void show(double[] across, double[] up, String words) {
        x = across;
        y = up;
        setContentDescription(words);
        setVisibility(x.length == 0 ? GONE : VISIBLE);
        invalidate();
    }

    @Override
    protected void onDraw(Canvas canvas) {
        super.onDraw(canvas);
        double right = 0;
        double top = 0;
        for (int place = 0; place < x.length; place++) {
            right = Math.max(right, x[place]);
            top = Math.max(top, y[place]);
        }
        Path path = new Path();
        for (int place = 0; place < x.length; place++) {
            float across = (float) (right > 0 ? x[place] / right * getWidth() : 0);
            float up = (float) (top > 0 ? (1 - y[place] / (HEADROOM * top)) * getHeight() : getHeight());
            if (place == 0) {
                path.moveTo(across, up);
            } else {
                path.lineTo(across, up);
            }
        }
        canvas.drawPath(path, paint);
    }
}
