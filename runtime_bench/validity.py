"""Reasons to doubt a latency, each with what to do about it."""

from collections.abc import Iterator

import numpy as np

from runtime_bench.environment import Environment
from runtime_bench.results import Burst, Flag, Paced, Summary, Timing

NOISE_SHARE = 0.10
NOISE_SHARE_APART = 0.30  # of what is not back to back: each inference finds other caches and another clock
DRIFT_SHARE = 0.05
FREQUENCY_SHARE = 0.10
NOT_PROFILED = "not-profiled"
MACOS = "Darwin"  # as a kernel is called
SATURATING = Flag(
    flag="saturating-host",
    reason="this CPU cuts off sums of uint8 x int8 (x86 without VNNI): the file answers wrongly here; accuracy and "
    "golden outputs are those of its twin with int8 activations",
    remedy="measure on the kind of CPU that will run it: x86 with VNNI and ARM compute it right",
)


def not_counted(reason: str) -> Flag:
    """The flag of an emulated result without counts."""
    return Flag(flag="not-counted", reason=reason, remedy="use a QEMU with plugins, as Debian 12 has it")


def no_cycles(lacking: str, remedy: str) -> Flag:
    """The flag of an emulated result without cycles, which could have them."""
    return Flag(flag="no-cycles", reason=f"cycles are not estimated: {lacking}", remedy=remedy)


def not_profiled(reason: str) -> Flag:
    """The flag of a result whose layers were asked for, and are not known."""
    return Flag(flag=NOT_PROFILED, reason=f"no layer was measured: {reason}", remedy="measure it again")


def flags(
    bursts: tuple[Burst, ...],
    summary: Summary,
    *,
    wanted: int,
    pinned: bool,
    before: Environment,
    after: Environment,
) -> tuple[Flag, ...]:
    """The flags of one model's samples back to back, and of the machine that they were taken on."""
    loose = () if pinned else (_unpinned(before.kernel),)
    return (*_of_samples(bursts, summary, wanted), *loose, *_of_machine(before, after))


def flags_apart(way: str, timing: Timing, *, wanted: int) -> tuple[Flag, ...]:
    """The flags of samples that are not back to back, but `way`: paced or cold."""
    found = [*_of_amount(timing.summary, wanted, NOISE_SHARE_APART, way)]
    if isinstance(timing, Paced) and timing.missed:
        ticks = f"{timing.missed:,} {'tick' if timing.missed == 1 else 'ticks'}"
        found.append(
            Flag(
                flag="missed-ticks",
                reason=f"paced: inferences lasted beyond {ticks} of {timing.every_ms:g} ms",
                remedy="it is too slow for that pace, or the machine was busy: pace it slower",
            )
        )
    return tuple(found)


def _of_amount(summary: Summary, wanted: int, noise: float, way: str | None = None) -> Iterator[Flag]:
    end, start = ("", "") if way is None else (f"-{way}", f"{way}: ")
    if summary.count < wanted:
        yield Flag(
            flag=f"too-few-samples{end}",
            reason=f"{start}{summary.count} samples of {wanted}",
            remedy="let the run finish",
        )
    spread = summary.iqr_ns / summary.p50_ns
    if spread > noise:
        yield Flag(
            flag=f"noisy{end}",
            reason=f"{start}the middle half of the samples spreads over {100 * spread:.0f}% of the median",
            remedy="stop other work on the machine, or pin to idle cores",
        )


def _of_samples(bursts: tuple[Burst, ...], summary: Summary, wanted: int) -> list[Flag]:
    found = [*_of_amount(summary, wanted, NOISE_SHARE)]
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
    return found


def _unpinned(kernel: str) -> Flag:
    reason, remedy = "its threads could move from CPU to CPU", "name the CPUs, or leave it to the fastest"
    if kernel.startswith(MACOS):
        reason += ", also to slower ones: macOS puts no process on CPUs of its own"
        remedy = "close what else runs, plug it in with Low Power Mode off, and take more processes"
    return Flag(flag="unpinned", reason=reason, remedy=remedy)


def _of_machine(before: Environment, after: Environment) -> list[Flag]:
    found = []
    if before.load_1min is not None and before.load_1min > before.cores:
        found.append(
            Flag(
                flag="load",
                reason=f"a load of {before.load_1min:g} on {before.cores} cores before the run",
                remedy="stop other work on the machine",
            )
        )
    fastest = [max(moment.frequencies_mhz, default=0.0) for moment in (before, after)]
    if fastest[0] > 0 and fastest[1] < (1 - FREQUENCY_SHARE) * fastest[0]:
        found.append(
            Flag(
                flag="frequency",
                reason=f"the fastest CPU ran at {fastest[0]:.0f} MHz before and at {fastest[1]:.0f} MHz after the run",
                remedy="set the governor to performance, and let the device cool down",
            )
        )
    heat = None
    if before.throttled is not None and after.throttled is not None and after.throttled > before.throttled:
        heat = f"CPUs were slowed down for heat {after.throttled - before.throttled} times during the run"
    elif before.thermal_status is not None and (after.thermal_status or 0) > before.thermal_status:
        heat = f"its thermal status was {before.thermal_status} before and {after.thermal_status} after the run"
    if heat is not None:
        found.append(
            Flag(flag="throttled", reason=heat, remedy="let the device cool down, and cool it while it is measured")
        )
    return found
