package org.tensorflow.lite;

/** What takes operators over from the interpreter. */
public interface Delegate {
    long getNativeHandle();
}
