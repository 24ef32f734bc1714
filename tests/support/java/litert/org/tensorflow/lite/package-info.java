/**
 * What LiteRtEngine uses of LiteRT's own classes, by their signatures; Python's LiteRT does the work, over a pipe.
 *
 * <p>To test without LiteRT's AAR, which Google's repository alone has. Never in an app.
 */
package org.tensorflow.lite;
