"""What `check` measured over many commits, and a slow drift in it that no single step shows.

A file of JSON lines; docs/formats.md has the fields. A series of one figure is cut where its level changes (PELT:
Killick and others, Optimal detection of changepoints with a linear computational cost, JASA 2012), and its newest level
is compared with its best by a rank test, which single outliers do not move.
"""

import json
import math
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PositiveFloat, ValidationError

from runtime_bench import units
from runtime_bench.errors import BenchInputError
from runtime_bench.files import read_document, write
from runtime_bench.pairs import pairs
from runtime_bench.regression import Finding, Tolerances, Verdict, failure_of, fingerprint
from runtime_bench.results import MAXIMUM_BYTES, Entry, Part, Results
from runtime_bench.stats import paired_ratio
from runtime_bench.system import alone
from runtime_bench.ways import APART

SHORTEST = 5  # lines that make a level: fewer cannot differ for certain (see SURE)
SURE = 0.01  # how unlikely it must be by chance that the newest level is so much worse
EXACT = 1e-6  # a share: how little a figure without noise may change to have a new level
Count = Annotated[int, Field(ge=0, lt=2**63)]


class Line(Part):
    """One file of one run.

    machine: the fingerprint of where it was measured. p50_ns: null for an emulated time. ratio: of its latency to that
    of the file `baseline` (its SHA-256) where both were measured in turns. paced and cold: the same of latency in these
    ways; every_ms: between ticks. memory: the peak; memory and bytes in bytes.
    quality: by a metric, on `images` images of `data`; see runtime_bench.results.Quality.
    """

    schema_version: Literal[3] = 3
    created: str
    commit: str | None = None
    machine: str
    device: str
    model: str
    file: str
    sha256: str
    target: str
    precision: str
    runtime: str
    version: str
    threads: int
    p50_ns: PositiveFloat | None = None
    baseline: str | None = None
    ratio: PositiveFloat | None = None
    every_ms: PositiveFloat | None = None
    paced_ns: PositiveFloat | None = None
    paced_ratio: PositiveFloat | None = None
    cold_ns: PositiveFloat | None = None
    cold_ratio: PositiveFloat | None = None
    memory: Annotated[Count, Field(gt=0)] | None = None
    bytes: Annotated[Count, Field(gt=0)]
    macs: Count | None = None
    parameters: Count | None = None
    metric: str | None = None
    quality: float | None = None
    unit: Literal["share", "dB", ""] = ""
    higher_is_better: bool = True
    data: str | None = None
    images: Count | None = None

    @property
    def series(self) -> tuple[object, ...]:
        """What it has in common with the lines that it can be compared with."""
        return self.model, self.target, self.precision, self.runtime, self.threads, self.device, self.machine


def lines(results: Results, new: Sequence[Entry], old: Sequence[Entry], commit: str | None) -> list[Line]:
    """A line for every new entry that was measured; old: what was measured in turns with them, if anything."""
    found = []
    baselines = {id(entry): baseline for entry, baseline in pairs(new, old).both}
    for entry in new:
        if failure_of(entry) is not None or entry.runtime is None:
            continue
        baseline = baselines.get(id(entry))
        paired = None if baseline is None else paired_ratio(entry.bursts, baseline.bursts)
        judged = entry.quality[0] if entry.quality else None
        quality = {} if judged is None else judged.model_dump(include={"metric", "unit", "higher_is_better", "data"})
        found.append(
            Line(
                created=results.created,
                commit=commit,
                machine=fingerprint(results.before),
                device=entry.device,
                model=entry.model.name,
                **entry.model.model_dump(
                    include={"file", "sha256", "target", "precision", "bytes", "macs", "parameters"}
                ),
                runtime=entry.runtime.name,
                version=entry.runtime.version,
                threads=entry.runtime.threads,
                p50_ns=None if entry.summary is None or entry.emulated else entry.summary.p50_ns,
                baseline=None if baseline is None or paired is None else baseline.model.sha256,
                ratio=None if paired is None else paired[0],
                every_ms=None if entry.paced is None else entry.paced.every_ms,
                **_apart(entry, baseline),
                memory=None if entry.memory is None else entry.memory.peak,
                quality=None if judged is None else judged.value,
                images=None if judged is None else judged.samples,
                **quality,
            )
        )
    return found


def _apart(entry: Entry, baseline: Entry | None) -> dict[str, Any]:
    """Latency that is not back to back."""
    found: dict[str, Any] = {}
    for way in APART:
        timing, other = entry.timings.get(way), None if baseline is None else baseline.timings.get(way)
        if timing is not None:
            found[f"{way}_ns"] = timing.summary.p50_ns
            paired = None if other is None else paired_ratio(timing.bursts, other.bursts)
            if paired is not None:
                found[f"{way}_ratio"] = paired[0]
    return found


def read(path: Path) -> list[Line]:
    """The lines of a history, in their order; none where there is no file yet. Raises BenchInputError."""
    return [line for line, _ in _parsed(path)]


def append(path: Path, new: Sequence[Line]) -> list[Line]:
    """Add what a history does not have yet, and return all its lines.

    The file is replaced as a whole: who reads it sees all of them or none. Raises BenchInputError.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(path.parent))  # the file is replaced: a lock on it would be one on the former
        except OSError as error:
            raise BenchInputError(f"{path}: cannot be written ({error.strerror})") from error
        there = _parsed(path)
        known = [line for line, _ in there]
        added = [line for line in new if line not in known]
        texts = [*(text for _, text in there), *(line.model_dump_json().encode() for line in added)]
        write(b"".join(text + b"\n" for text in texts), path)
    return [*known, *added]


def _parsed(path: Path) -> list[tuple[Line, bytes]]:
    try:
        data = read_document(path, MAXIMUM_BYTES, "history")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be read ({error.strerror})") from error
    found = []
    for number, text in enumerate(data.splitlines(), 1):
        try:
            found.append((Line.model_validate_json(_upgraded(text)), text))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            what = f"{place}: {first['msg']}" if place else first["msg"]
            raise BenchInputError(f"{path}: line {number} is not of a history: {what}; remove it") from error
    return found


def _upgraded(text: bytes) -> bytes:
    """A line in the present version; one that is damaged as it is, for what validates it to say so."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return text
    version = line.get("schema_version") if isinstance(line, dict) else None
    if version not in (1, 2):
        return text
    judged = {}
    if version == 1:
        top1 = line.pop("top1", None)  # version 1 knew no other metric
        judged = {} if top1 is None else {"metric": "top1", "quality": top1, "unit": "share"}
    return json.dumps(line | judged | {"schema_version": 3}).encode()  # version 2 knew latency back to back alone


# -- drift --


def drifts(history: Sequence[Line], newest: Line, tolerances: Tolerances) -> list[Finding]:
    """A regression for every figure whose newest level is worse than an earlier one, of lines like `newest`.

    history: all lines in their order, `newest` among the last. Latency is judged by its ratio to the baseline where
    enough lines have the same one, since a ratio does not mind what the machine is doing.
    """
    alike = [line for line in history if line.series == newest.series]
    paced = [line for line in alike if line.every_ms == newest.every_ms]
    tested = [line for line in alike if _judged_by(line) == _judged_by(newest)]
    found = (
        _drift("latency", _latencies(alike, newest, "p50_ns", "ratio"), tolerances.latency),
        _drift("paced", _latencies(paced, newest, "paced_ns", "paced_ratio"), tolerances.paced),
        _drift("cold", _latencies(alike, newest, "cold_ns", "cold_ratio"), tolerances.cold),
        _drift("memory", [(line, line.memory) for line in alike], tolerances.memory),
        _drift("size", [(line, line.bytes) for line in alike], tolerances.size),
        _drift("macs", [(line, line.macs or None) for line in alike], tolerances.counts),
        _drift("parameters", [(line, line.parameters or None) for line in alike], tolerances.counts),
        _drift(
            newest.metric or "quality",
            [(line, line.quality) for line in tested],
            tolerances.accuracy if newest.unit == "share" else tolerances.quality,
            judged=newest,
        ),
    )
    return [finding for finding in found if finding is not None]


def _latencies(alike: Sequence[Line], newest: Line, figure: str, ratio: str) -> list[tuple[Line, float | None]]:
    """A latency of every line, by its ratio to the baseline where enough lines have the newest one's."""
    known = [(line, getattr(line, figure), getattr(line, ratio)) for line in alike]
    paired = [row for row in known if row[2] is not None and row[0].baseline == newest.baseline]
    if getattr(newest, ratio) is None or len(paired) < 2 * SHORTEST:
        return [(line, value) for line, value, _ in known]
    pace = float(np.median([value / shared for _, value, shared in paired if value and shared]))
    return [(line, pace * shared) for line, _, shared in paired]


def _judged_by(line: Line) -> tuple[object, ...]:
    return line.data, line.images, line.metric, line.unit


def _drift(
    figure: str, points: Sequence[tuple[Line, float | None]], tolerance: float, *, judged: Line | None = None
) -> Finding | None:
    """The newest level beside the best earlier one, if it is worse than that by more than the tolerance for certain.

    judged: a line with the metric that the figure is of, if it is of one.
    """
    from scipy.stats import mannwhitneyu

    known = [(line, value) for line, value in points if value is not None]
    values = np.array([value for _, value in known])
    if not len(values):
        return None
    # On this scale larger is worse, and the same step is as bad everywhere.
    if judged is None:
        scale, allowed, whole = np.log(values), math.log1p(tolerance), 1.0
    else:
        whole = 1.0 if judged.unit == "share" else float(np.abs(np.median(values))) or 1.0
        scale, allowed = values * (-1 if judged.higher_is_better else 1), tolerance * whole
    levels = _levels(scale)
    if len(levels) < 2:
        return None
    best, newest = min(levels[:-1], key=lambda level: np.median(scale[level])), levels[-1]
    if mannwhitneyu(scale[newest] - allowed, scale[best], alternative="greater").pvalue >= SURE:
        return None
    old, new = float(np.median(values[best])), float(np.median(values[newest]))
    last, commits = known[best.stop - 1][0], [line.commit for line, _ in known[best.stop :]]
    many = "runs" if None in commits or len(set(commits)) < len(commits) else "commits"
    return Finding(
        model=f"{last.model}, {last.file}",
        figure=f"{figure} over {len(commits)} {many}",
        old=old,
        new=new,
        change=new / old - 1 if judged is None else (old - new) * (1 if judged.higher_is_better else -1) / whole,
        interval=None,
        tolerance=tolerance,
        verdict=Verdict.regression,
        reason=f"since {last.created if last.commit is None else last.commit[:12]}",
        baseline="its history",
        place=f"{last.runtime}, {units.count(last.threads, 'thread')}, {last.device}",
        unit=None if judged is None else judged.unit or "number",
    )


def _levels(values: np.ndarray) -> list[slice]:
    """The parts of one level each. A cut costs log(n) times the variance, as Schwarz's criterion has it.

    The noise is that of neighbours' differences, which neither a drift nor an outlier changes much.
    """
    try:
        from ruptures import KernelCPD
    except ImportError as error:
        raise BenchInputError("a history needs the package ruptures, which is not installed") from error
    if len(values) < 2 * SHORTEST:
        return []
    noise = max(float(np.median(np.abs(np.diff(values)))) / (0.6745 * math.sqrt(2)), EXACT)
    ends = KernelCPD(kernel="linear", min_size=SHORTEST).fit(values / noise).predict(pen=math.log(len(values)))
    return [slice(start, stop) for start, stop in pairwise([0, *ends])]
