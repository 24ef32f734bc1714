"""Reasons to doubt a latency, each with what to do about it."""

import numpy as np

from runtime_bench.results import Burst, Flag, Summary

NOISE_SHARE = 0.10
DRIFT_SHARE = 0.05
SATURATING = Flag(
    flag="saturating-host",
    reason="this CPU cuts off sums of uint8 x int8 (x86 without VNNI): the file answers wrongly here; accuracy and "
    "golden outputs are those of its twin with int8 activations",
    remedy="measure on the kind of CPU that will run it: x86 with VNNI and ARM compute it right",
)


def flags(
    bursts: tuple[Burst, ...], summary: Summary, wanted: int, load_before: float | None, cores: int
) -> tuple[Flag, ...]:
    """The flags of one model's samples: too few, spread, drift, and a machine that was busy before."""
    found = []
    if summary.count < wanted:
        found.append(
            Flag(
                flag="too-few-samples",
                reason=f"{summary.count} samples of {wanted}",
                remedy="let the run finish",
            )
        )
    spread = summary.iqr_ns / summary.p50_ns
    if spread > NOISE_SHARE:
        found.append(
            Flag(
                flag="noisy",
                reason=f"the middle half of the samples spreads over {100 * spread:.0f}% of the median",
                remedy="stop other work on the machine, or pin to idle cores with --cpus",
            )
        )
    samples = np.array([sample for burst in bursts for sample in burst.samples_ns], np.float64)
    quarter = len(samples) // 4
    if quarter:
        drift = np.median(samples[-quarter:]) / np.median(samples[:quarter]) - 1
        if abs(drift) > DRIFT_SHARE:
            found.append(
                Flag(
                    flag="drift",
                    reason=f"the last quarter is {100 * drift:+.0f}% against the first",
                    remedy="warm up longer, cool the device, or look for throttling",
                )
            )
    if load_before is not None and load_before > cores:
        found.append(
            Flag(
                flag="load",
                reason=f"a load of {load_before:g} on {cores} cores before the run",
                remedy="stop other work on the machine",
            )
        )
    return tuple(found)
