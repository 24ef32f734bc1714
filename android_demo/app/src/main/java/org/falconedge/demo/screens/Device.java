package org.falconedge.demo.screens;

import org.falconedge.core.Platform;

/** The phone. What it does not tell is null. */
public interface Device {
    /** Clock, memory, CPUs. */
    Platform platform();

    /** As in "phone:Pixel 8". */
    String name();

    int cores();

    /** As in "80%, charging". */
    String battery();

    /** How hot it is, from 0 (none) to 6 (about to shut down). */
    Integer thermalStatus();

    /** How close to being slowed down for heat: 1 is there. */
    Double thermalHeadroom();

    /** This process's share of the memory, in bytes: what it shares with others is counted in part (PSS). */
    Long pss();

    /** Milliseconds since 1970. */
    long now();
}
