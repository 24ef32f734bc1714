/**
 * What LiteRtEngine uses of LiteRT's own classes, by their signatures; the work is done by Python's ai_edge_litert over a pipe.
 *
 * <p>To test without LiteRT's AAR, which Google's repository alone has. Never in an app.
 */
package org.tensorflow.lite;
