"""A board's cycles by what its emulation counts: the fit, and the file that keeps it.

cycles = a (cycles without a wait for memory) + b (L1 misses) + c (L2 misses), with a, b and c at least 0, fitted to the
median latencies of several files on a board whose clock is fixed.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, ValidationError
from scipy.optimize import nnls

from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.files import read_document, write
from runtime_bench.results import Entry, Flag, Part, Results

FEWEST = 8  # different files
MAXIMUM_BYTES = 16 * 1024**2
WIDE = 0.5  # a coefficient that varies by a larger share of itself is not known
NEGLIGIBLE = 0.01  # a smaller part of every file's cycles is none that its coefficient could be told by
INACCURATE = 0.2
# What is counted by its name in Observation and in Calibration, and in words.
TERMS = {"cycles": "cycles", "l1_misses": "L1 misses", "l2_misses": "L2 misses"}
LEFT_OUT = "drift", "too-few-samples"  # flags of a latency that is not used
MORE_MODELS = "calibrate with more networks, of sizes and kinds as those that you want to know of"

Mhz = Annotated[float, Field(ge=1, le=1e5)]


class Observation(Part):
    """A file that was counted on the emulated CPU and measured on the board.

    cycles: estimated without misses; misses: of the model of the CPU's caches; ns: the median latency.
    """

    model: str
    file: str
    sha256: str
    runtime: str
    cycles: PositiveFloat
    l1_misses: NonNegativeInt
    l2_misses: NonNegativeInt
    ns: PositiveFloat


class Coefficient(Part):
    """Cycles of the board for each one that is counted; low and high: of the fits that leave one file out."""

    value: float = Field(ge=0, le=1e9)
    low: NonNegativeFloat
    high: NonNegativeFloat


class Calibration(Part):
    """What a board's cycles are by the counts of an emulated CPU; docs/calibration.md says how far to trust it.

    board: its host; board_cpu: as its environment says; cpu: the emulated one; mhz: the clock that was measured at;
    median_error and largest_error: of the fits that leave one file out, on that file, as a share of its latency;
    runtimes and counted_runtimes: package and version by runtime, on the board and on the emulated CPU; cycle_model:
    what estimated its cycles.
    """

    schema_version: Literal[1] = 1
    created: str
    board: str
    board_cpu: str | None
    cpu: str
    mhz: Mhz
    cycles: Coefficient
    l1_misses: Coefficient
    l2_misses: Coefficient
    median_error: NonNegativeFloat
    largest_error: NonNegativeFloat
    observations: tuple[Observation, ...] = Field(min_length=FEWEST)
    runtimes: dict[str, str]
    counted_runtimes: dict[str, str]
    cycle_model: str | None = None
    flags: tuple[Flag, ...] = ()

    @property
    def coefficients(self) -> dict[str, Coefficient]:
        """By the words for what is counted."""
        return {words: getattr(self, name) for name, words in TERMS.items()}


@dataclass(frozen=True)
class Fit:
    """Coefficients by their names in TERMS, and of each observation the relative error of a fit without it.

    shares: of each term, the largest part that it is of an observation's cycles.
    """

    coefficients: dict[str, Coefficient]
    shares: dict[str, float]
    errors: tuple[float, ...]


def fit(observations: Sequence[Observation], mhz: float) -> Fit:
    """The non-negative coefficients with the least squares of relative errors, at a clock of `mhz`.

    Raises BenchInputError for fewer than FEWEST observations, or two of one file.
    """
    if len(observations) < FEWEST:
        raise BenchInputError(f"{len(observations)} files: a calibration takes at least {FEWEST}")
    if len({(each.sha256, each.runtime) for each in observations}) < len(observations):
        raise BenchInputError("a calibration takes every file once")
    counted = np.array([[getattr(each, name) for name in TERMS] for each in observations], np.float64)
    measured = np.array([each.ns for each in observations]) * mhz / 1000  # cycles
    values = _solve(counted, measured)
    every = range(len(observations))
    without = np.array([_solve(np.delete(counted, each, 0), np.delete(measured, each)) for each in every])
    errors = np.abs((counted * without).sum(1) / measured - 1)
    columns = np.stack([values, without.min(0), without.max(0)], 1).tolist()
    coefficients = {
        name: Coefficient(value=value, low=low, high=high)
        for name, (value, low, high) in zip(TERMS, columns, strict=True)
    }
    shares = (counted * values / measured[:, None]).max(0).tolist()
    return Fit(coefficients, dict(zip(TERMS, shares, strict=True)), tuple(errors.tolist()))


def calibration_of(
    measured: Results, counted: Results, *, board: str, cpu: str, mhz: float, told: bool = True
) -> Calibration:
    """Of the same files, in the same order, measured on a board at a clock of `mhz` and counted on an emulated CPU.

    told: whether the board itself told that clock; a flag says if it did not.
    What failed, or drifted, is left out, with a flag that says so. Raises DeviceError if too little remains.
    """
    pairs: dict[tuple[str, str], tuple[Entry, Entry]] = {}  # a file that was named twice is one
    flags: list[Flag] = []
    for there, here in zip(measured.entries, counted.entries, strict=True):
        obstacle = _obstacle(there, here)
        if obstacle is None:
            pairs[there.model.sha256, _runtime(there)] = there, here
        else:
            flags.append(obstacle)
    if len(pairs) < FEWEST:
        why = f"; {flags[0].reason}" if flags else ""
        raise DeviceError(f"{board}: {len(pairs)} files were measured and counted, of at least {FEWEST}{why}")
    observations = [_observation(there, here) for there, here in pairs.values()]
    found = fit(observations, mhz)
    runtimes, counted_runtimes = ({_runtime(pair[i]): version(pair[i]) for pair in pairs.values()} for i in (0, 1))
    return Calibration(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        board=board,
        board_cpu=measured.before.cpu,
        cpu=cpu,
        mhz=mhz,
        cycles=found.coefficients["cycles"],
        l1_misses=found.coefficients["l1_misses"],
        l2_misses=found.coefficients["l2_misses"],
        median_error=float(np.median(found.errors)),
        largest_error=max(found.errors),
        observations=tuple(observations),
        runtimes=runtimes,
        counted_runtimes=counted_runtimes,
        cycle_model=next(here.counts.cycle_model for _, here in pairs.values() if here.counts is not None),
        flags=(
            *_of_fit(found),
            *flags,
            *(() if told else (_untold(board, mhz),)),
            *_of_versions(runtimes, counted_runtimes),
            *_of_latencies([there for there, _ in pairs.values()]),
        ),
    )


def version(entry: Entry) -> str:
    """Package and version of what executed an entry."""
    return "" if entry.runtime is None else f"{entry.runtime.package} {entry.runtime.version}"


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration file atomically. Raises BenchInputError if it cannot be written."""
    write(calibration.model_dump_json(indent=1).encode() + b"\n", path)


def load(path: Path) -> Calibration:
    """Read a calibration file. Raises BenchInputError for anything else."""
    try:
        data = read_document(path, MAXIMUM_BYTES, "calibration file")
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return Calibration.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BenchInputError(f"{path}: not a calibration file: {place or 'it'}: {first['msg']}") from error


def _solve(counted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Non-negative x by which counted x / measured is closest to 1; 0 for a column of zeros."""
    rows = counted / measured[:, None]
    scale = np.linalg.norm(rows, axis=0)  # a cycle and a miss are many and few: nnls sees them alike
    scale[scale == 0] = 1
    found, _ = nnls(rows / scale, np.ones(len(rows)), maxiter=1000)
    return np.asarray(found / scale)


def _runtime(entry: Entry) -> str:
    return "" if entry.runtime is None else entry.runtime.name


def _obstacle(there: Entry, here: Entry) -> Flag | None:
    """Why a file is no observation, or None."""
    name, remedy = f"{there.model.name}, {there.model.file}", "measure it alone by falcon-edge bench to see why"
    for entry in (there, here):
        if entry.failure is not None:
            reason = f"{name} is left out: on {entry.device}, {entry.failure.message}"
            return Flag(flag="left-out", reason=reason, remedy=remedy)
    if here.counts is None or here.counts.cycles is None or here.counts.l1_misses is None:
        reason, remedy = next(((each.reason, each.remedy) for each in here.flags), ("no cycles were counted", remedy))
        return Flag(flag="left-out", reason=f"{name} is left out: {reason}", remedy=remedy)
    doubt = next((each for each in there.flags if each.flag in LEFT_OUT), None)
    if doubt is None:
        return None
    return Flag(flag="left-out", reason=f"{name} is left out: {doubt.reason}", remedy=doubt.remedy)


def _observation(there: Entry, here: Entry) -> Observation:
    assert there.summary is not None
    assert here.counts is not None
    assert here.counts.cycles is not None
    return Observation(
        model=there.model.name,
        file=there.model.file,
        sha256=there.model.sha256,
        runtime=_runtime(there),
        cycles=here.counts.cycles[0],
        l1_misses=here.counts.l1_misses or 0,
        l2_misses=here.counts.l2_misses or 0,
        ns=there.summary.p50_ns,
    )


def _of_fit(found: Fit) -> Iterator[Flag]:
    for name, words in TERMS.items():
        each = found.coefficients[name]
        if found.shares[name] < NEGLIGIBLE:
            reason = f"what {words} cost is not known: in these files they are few, cost nothing, or go with the rest"
            yield Flag(flag="undetermined", reason=reason, remedy=MORE_MODELS)
        elif each.high - each.low > WIDE * each.value:
            reason = f"what {words} cost is open: {each.low:.3g} to {each.high:.3g}, by which file is left out"
            yield Flag(flag="undetermined", reason=reason, remedy=MORE_MODELS)
    if max(found.errors) > INACCURATE:
        reason = f"it is up to {100 * max(found.errors):.0f}% off a file that it has not seen"
        yield Flag(flag="inaccurate", reason=reason, remedy=MORE_MODELS)


def _untold(board: str, mhz: float) -> Flag:
    reason = f"{board} does not tell its clock: a, b and c are cycles of one of {mhz:.0f} MHz, and it may have changed"
    return Flag(flag="clock-untold", reason=reason, remedy="calibrate again, and see whether milliseconds stay")


def _of_versions(runtimes: dict[str, str], counted: dict[str, str]) -> Iterator[Flag]:
    for name, there in runtimes.items():
        if there != counted[name]:
            reason = f"the board has {there}, and {counted[name]} was counted: their kernels may differ"
            yield Flag(flag="other-runtime", reason=reason, remedy=f"install {counted[name]} on the board")


def _of_latencies(entries: Collection[Entry]) -> Iterator[Flag]:
    """What is doubtful about the latencies, each kind once."""
    first: dict[str, tuple[Entry, Flag]] = {}
    for entry in entries:
        for flag in entry.flags:
            first.setdefault(flag.flag, (entry, flag))
    for entry, flag in first.values():
        yield flag.model_copy(update={"reason": f"{entry.model.name}, {entry.model.file}: {flag.reason}"})
