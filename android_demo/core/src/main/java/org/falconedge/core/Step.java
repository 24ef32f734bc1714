package org.falconedge.core;

/** One step of the pre-processing (docs/formats.md): integers alone. */
public abstract class Step {
    Step() {}

    /** The image after this step. Throws Message where it would be too large. */
    abstract Image apply(Image image) throws Message;
}
