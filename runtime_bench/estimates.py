"""Milliseconds of emulated inferences, by a board's calibration: estimates, never latencies."""

from runtime_bench.calibration import TERMS, Calibration, version
from runtime_bench.errors import BenchInputError
from runtime_bench.results import Counts, Entry, Estimate, Flag, Results

BEYOND = 2.0  # how many times as large, or as small, a model may be as those of the calibration
FEW_MISSES = 1e-4  # a cycle: at hundreds of cycles a miss, a few percent at most
FLAGS = "extrapolated", "other-runtime", "other-cycle-model"


def check_cpu(calibration: Calibration, cpu: str) -> None:
    """Raise BenchInputError if a calibration is not of the emulated CPU."""
    if calibration.cpu != cpu:
        raise BenchInputError(f"the calibration of {calibration.board} is of {calibration.cpu}, and not of {cpu}")


def with_estimates(results: Results, calibration: Calibration) -> Results:
    """The results with an estimate for every entry whose cycles are known, and flags where there is reason to doubt it.

    Raises BenchInputError for counts of another CPU.
    """
    for entry in results.entries:
        if entry.counts is not None:
            check_cpu(calibration, entry.counts.cpu)
    return results.model_copy(update={"entries": tuple(_estimated(each, calibration) for each in results.entries)})


def estimate(counts: Counts, calibration: Calibration) -> Estimate | None:
    """An inference on the calibrated board; None if cycles or misses are not known."""
    counted = _counted(counts)
    if counted is None:
        return None
    cycles = sum(getattr(calibration, name).value * count for name, count in counted.items())
    if not cycles:
        return None
    return Estimate(
        board=calibration.board,
        ns=1000 * cycles / calibration.mhz,
        median_error=calibration.median_error,
        largest_error=calibration.largest_error,
    )


def _estimated(entry: Entry, calibration: Calibration) -> Entry:
    if entry.counts is None:
        return entry
    found = estimate(entry.counts, calibration)
    flags = [flag for flag in entry.flags if flag.flag not in FLAGS]  # of results that were taken over
    if found is not None:
        doubts = (_extrapolated, _other_runtime, _other_cycle_model)
        flags += filter(None, (doubt(entry, entry.counts, calibration) for doubt in doubts))
    counts = entry.counts.model_copy(update={"estimate": found})
    return entry.model_copy(update={"counts": counts, "flags": tuple(flags)})


def _counted(counts: Counts) -> dict[str, float] | None:
    if counts.cycles is None or counts.l1_misses is None or counts.l2_misses is None:
        return None
    return {"cycles": counts.cycles[0], "l1_misses": counts.l1_misses, "l2_misses": counts.l2_misses}


def _extrapolated(entry: Entry, counts: Counts, calibration: Calibration) -> Flag | None:
    """The flag of an inference that does far more, or far less, than those of the calibration."""
    counted = _counted(counts) or {}
    for name, count in counted.items():
        known = [getattr(each, name) for each in calibration.observations]
        larger = count > BEYOND * max(known) and count > FEW_MISSES * counted["cycles"]
        if larger or (name == "cycles" and count < min(known) / BEYOND):
            reason = f"{count:,.0f} {TERMS[name]}, and the calibration is of {min(known):,.0f} to {max(known):,.0f}"
            return Flag(flag="extrapolated", reason=reason, remedy="calibrate with models of this size, too")
    return None


def _other_runtime(entry: Entry, counts: Counts, calibration: Calibration) -> Flag | None:
    """The flag of an inference by another runtime than those that were counted for the calibration."""
    if entry.runtime is None or calibration.counted_runtimes.get(entry.runtime.name) == version(entry):
        return None
    known = " and ".join(calibration.counted_runtimes.values())
    return Flag(
        flag="other-runtime",
        reason=f"{version(entry)} ran, and the calibration is of {known}",
        remedy="calibrate again",
    )


def _other_cycle_model(entry: Entry, counts: Counts, calibration: Calibration) -> Flag | None:
    """The flag of cycles by another model than those of the calibration."""
    if counts.cycle_model == calibration.cycle_model:
        return None
    reason = f"its cycles are by {counts.cycle_model}, and those of the calibration by {calibration.cycle_model}"
    return Flag(flag="other-cycle-model", reason=reason, remedy="calibrate again")
