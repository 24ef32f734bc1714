"""The result: what was measured, with every raw sample. JSON, versioned; docs/formats.md has its schema."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime_bench.environment import Environment
from runtime_bench.errors import BenchInputError
from runtime_bench.files import read_document, write
from runtime_bench.ranges import Amount, Count, Cpu, Difference, Duration, Ends, Interval, Positive, Several, Share
from runtime_bench.text import in_lines
from runtime_bench.ways import BACK_TO_BACK

SCHEMA_VERSION = 6
MAXIMUM_BYTES = 256 * 1024**2  # ten million samples


ALIKE = 1.5  # of periods: what is between inferences counts less and less


class Part(BaseModel):
    """A part of the result: unknown keys are refused, and numbers that JSON does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelInfo(Part):
    """The measured file and what is known of the model in it.

    identity: the hash of the model's weights; operators: how many the file has of each kind;
    rewrites: those of its graph that its runtime is faster with.
    """

    name: str
    file: str
    sha256: str
    bytes: Count
    target: str
    precision: str
    role: Literal["standard", "compressed"] | None = None
    identity: str | None = None
    parent: str | None = None
    parameters: Count | None = None
    macs: Count | None = None
    operators: dict[str, Several] | None = None
    rewrites: tuple[str, ...] = ()


class RuntimeInfo(Part):
    """What executed it: runtime, the package it came in, its version, and which kernels or provider ran."""

    name: str
    package: str
    version: str
    kernels: str
    threads: Several


class Burst(Part):
    """Samples that were taken in one go: which worker process, which round, nanoseconds each."""

    process: Count
    round: Count
    samples_ns: tuple[Duration, ...]


class Summary(Part):
    """Order statistics of all samples, in nanoseconds (NumPy's linear interpolation)."""

    count: Several
    min_ns: Positive
    p50_ns: Positive
    p90_ns: Positive
    p95_ns: Positive
    p99_ns: Positive
    iqr_ns: Amount


class Intervals(Part):
    """95% intervals of the order statistics, in nanoseconds: by bootstrap over processes and samples."""

    p50_ns: Interval
    p90_ns: Interval
    p95_ns: Interval
    p99_ns: Interval


class Timing(Part):
    """Latency measured in one way: all samples, and what they come to."""

    bursts: tuple[Burst, ...] = Field(min_length=1)
    summary: Summary
    intervals: Intervals | None = None

    @model_validator(mode="after")
    def _summary_is_of_the_samples(self) -> "Timing":
        if not _is_of(self.summary, self.bursts):
            raise ValueError("the summary is not that of its samples")
        return self

    def unlike(self, other: "Timing") -> str | None:
        """Why two latencies of one way of measuring cannot be compared, or None."""
        return None


class Paced(Timing):
    """Of one inference at each tick, several models taking turns by tick; the process sleeps in between.

    every_ms: between ticks; period_ms: between its own, of which there are fewer where several models take turns.
    missed: ticks that came while an inference was not done. mhz: of the CPU, before, at and after a tick, where the
    kernel tells.
    """

    every_ms: Positive
    period_ms: Positive
    missed: Count = 0
    mhz: tuple[Amount, Amount, Amount] | None = None

    def unlike(self, other: Timing) -> str | None:
        """Caches and clock need about as long a time to cool down."""
        assert isinstance(other, Paced)
        shorter, longer = sorted((self.period_ms, other.period_ms))
        if self.every_ms == other.every_ms and longer <= ALIKE * shorter:
            return None
        return f"it ran every {self.period_ms:.3g} ms, and the baseline every {other.period_ms:.3g} ms"


class Cold(Timing):
    """Of inferences with emptied caches: before each of them, so many bytes were written."""

    flushed: Count


class Memory(Part):
    """Resident set of the worker in bytes; null where the device does not tell.

    bare: before the runtime was imported.
    """

    bare: Count | None = None
    before_load: Count | None
    after_load: Count | None
    peak: Count | None

    @property
    def runtime(self) -> int | None:
        """What the runtime alone takes, before it has loaded a file."""
        return None if self.bare is None or self.before_load is None else self.before_load - self.bare


class Quality(Part):
    """How good the answers to `samples` images of a data set are, by a metric, with its 95% interval.

    unit: share (in 0..1), dB, or none. interval null: there is none.
    """

    metric: str
    value: float
    interval: Ends | None
    data: str
    samples: Several
    higher_is_better: bool = True
    unit: Literal["share", "dB", ""] = ""

    @model_validator(mode="after")
    def _is_of_its_unit(self) -> "Quality":
        ends = () if self.interval is None else self.interval
        if self.unit == "share" and not all(0 <= end <= 1 for end in (self.value, *ends)):
            raise ValueError(f"{self.metric} is a share, and lies in 0..1")
        return self


class Agreement(Part):
    """How an output agrees with the golden ones, over the golden inputs.

    output: its name, null where none is known. max_abs null: they cannot be compared, being more or fewer numbers or
    not finite. max_relative is a share of the largest golden value; null too where all of these are 0. snr_db null: no
    difference, or nothing to compare it with. classes_equal: of how many the highest class is the same; null where the
    output is no row of classes.
    """

    output: str | None
    vectors: Several
    max_abs: Annotated[float, Field(ge=0)] | None
    max_relative: Annotated[float, Field(ge=0)] | None
    snr_db: float | None
    classes_equal: Count | None
    within_tolerance: bool

    @model_validator(mode="after")
    def _is_of_its_vectors(self) -> "Agreement":
        if self.classes_equal is not None and self.classes_equal > self.vectors:
            raise ValueError(f"{self.classes_equal} equal classes of {self.vectors} vectors")
        return self


class Estimate(Part):
    """An inference's nanoseconds on a board, computed from counts by the board's calibration: never measured.

    median_error, largest_error: how far the calibration was off files that it had not seen, as a share.
    """

    board: str
    ns: Positive
    median_error: Amount
    largest_error: Amount


class Counts(Part):
    """What one inference does on an emulated CPU; never a latency.

    instructions and MACs by class; misses of a model of the CPU's caches, as the inference before left them, and of
    emptied ones; cycles: an estimated, uncalibrated interval, without any wait for memory and with every miss (of
    caches that were not emptied) waited for in full; cycle_model: what estimated them.
    """

    cpu: str
    instructions: Count
    classes: dict[str, Count] = Field(default_factory=dict)
    macs: dict[str, Count] = Field(default_factory=dict)
    loads: Count
    stores: Count
    bytes_loaded: Count
    bytes_stored: Count
    l1_misses: Count | None = None
    l2_misses: Count | None = None
    l1_misses_emptied: Count | None = None
    l2_misses_emptied: Count | None = None
    cycles: Interval | None = None
    cycle_model: str | None = None
    estimate: Estimate | None = None


class LayerCounts(Part):
    """What a layer adds to one inference on an emulated CPU; a little below 0 where it adds nothing.

    cycles: estimated and uncalibrated, without any wait for memory.
    """

    instructions: Difference
    macs: Difference
    bytes: Difference
    l1_misses: Difference | None = None
    l2_misses: Difference | None = None
    cycles: float | None = None


class Layer(Part):
    """Operators that the runtime executed as one, in the order of execution.

    operators: their kinds; output: the tensor that they end with; ns: their time in one inference; cold_ns: that of
    one measured apart, cold or paced (Profile.apart); bytes: what they read and write at least, weights included;
    weights: the bytes of these alone. shape (of the output), dtype, form (pointwise, depthwise, standard, ...),
    channels (in and out) and idle_lanes (the share of a kernel's work for channels that do not exist) are those of
    the operator with the most MACs. kernel: what ran, where the runtime tells. flags: what is known to be slow
    (float-island, transpose, odd-channels, fallback).
    """

    operators: tuple[str, ...]
    output: str
    shape: tuple[Count, ...] = ()
    dtype: str
    form: str | None = None
    channels: tuple[Count, Count] | None = None
    idle_lanes: Share = 0.0
    macs: Count
    bytes: Count
    weights: Count | None = None
    ns: Amount | None = None
    cold_ns: Amount | None = None
    kernel: str | None = None
    flags: tuple[str, ...] = ()
    counts: LayerCounts | None = None

    @property
    def cost(self) -> float:
        """Its nanoseconds, or its instructions where it was counted and not timed."""
        if self.counts is not None:
            return float(self.counts.instructions)
        return 0.0 if self.ns is None else self.ns


class Call(Part):
    """What a runtime takes for an inference besides its operators: found with a model of next to nothing.

    cold_ns: measured apart, as the layers' cold_ns were (Profile.apart).
    """

    ns: Amount
    cold_ns: Amount


class Profile(Part):
    """Where an inference's time goes. remainder_ns: what of the median is in no layer.

    method: runtime (the runtime's own profile) or prefixes (the differences of models that end one operator later).
    overhead_ns: what being profiled added to every layer, which was taken off. apart: how the layers' cold_ns were
    measured, if they were; longer_ns: what an inference took longer so than back to back, in the same process; call: of
    an empty model that took turns with it. Of an emulated device instructions are known instead: remainder_instructions
    are those in no layer.
    """

    method: Literal["runtime", "prefixes"]
    layers: tuple[Layer, ...] = Field(min_length=1)
    remainder_ns: Amount | None = None
    overhead_ns: Amount = 0.0
    apart: Literal["paced", "cold"] | None = None
    longer_ns: Amount | None = None
    call: Call | None = None
    remainder_instructions: Difference | None = None


class Peaks(Part):
    """What the device reached on one large convolution by precision, and when copying a large array."""

    macs_per_second: dict[str, Positive] = Field(min_length=1)
    bytes_per_second: Positive


class Flag(Part):
    """A reason to doubt a figure, and what to do about it."""

    flag: str
    reason: str
    remedy: str


class Failure(Part):
    """What failed.

    `kind`: runtime, missing-runtime, memory, signal, exit, timeout, protocol, start, connection, wrong-outputs, device.
    """

    kind: str
    message: str
    signal: str | None = None


class Entry(Part):
    """One model file on one runtime on one device.

    bursts, summary, intervals: of its latency back to back. quality: the first is what it is judged by. agreement: of
    every output.
    """

    model: ModelInfo
    runtime: RuntimeInfo | None = None
    device: str
    emulated: bool
    cpus: tuple[Cpu, ...] = ()
    load_ns: Duration | None = None
    first_inference_ns: Duration | None = None
    bursts: tuple[Burst, ...] = ()
    summary: Summary | None = None
    intervals: Intervals | None = None
    paced: Paced | None = None
    cold: Cold | None = None
    energy_j: Amount | None = Field(default=None, description="an inference's, where the device has a sensor")
    memory: Memory | None = None
    quality: tuple[Quality, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    counts: Counts | None = None
    profile: Profile | None = None
    flags: tuple[Flag, ...] = ()
    failure: Failure | None = None

    @model_validator(mode="after")
    def _summary_is_of_the_samples(self) -> "Entry":
        if not _is_of(self.summary, self.bursts):
            raise ValueError(f"{self.model.name}: the summary is not that of its samples")
        return self

    @property
    def timings(self) -> dict[str, Timing]:
        """Its latencies by the way of measuring: 'back to back', 'paced' and 'cold', where there are any."""
        warm = None
        if self.summary is not None:
            warm = Timing.model_construct(bursts=self.bursts, summary=self.summary, intervals=self.intervals)
        found = {BACK_TO_BACK: warm, "paced": self.paced, "cold": self.cold}
        return {way: timing for way, timing in found.items() if timing is not None}


class Results(Part):
    """A results file: the machine before and after, how it was measured, and an entry per model file."""

    schema_version: Literal[6] = 6
    created: str
    options: dict[str, Any]
    before: Environment
    after: Environment
    interrupted: bool = False
    peaks: Peaks | None = None
    entries: tuple[Entry, ...]


def summarise(bursts: tuple[Burst, ...]) -> Summary | None:
    """The summary of all samples, or None without any."""
    samples = np.array([sample for burst in bursts for sample in burst.samples_ns], np.float64)
    if samples.size == 0:
        return None
    p25, p50, p75, p90, p95, p99 = np.percentile(samples, (25, 50, 75, 90, 95, 99))
    low = samples.min()
    return Summary(count=samples.size, min_ns=low, p50_ns=p50, p90_ns=p90, p95_ns=p95, p99_ns=p99, iqr_ns=p75 - p25)


def _is_of(summary: Summary | None, bursts: tuple[Burst, ...]) -> bool:
    """Whether a summary is that of these samples."""
    expected = summarise(bursts)
    if summary is None or expected is None:
        return summary is expected
    values = expected.model_dump().items()
    return all(abs(getattr(summary, name) - value) <= 1e-6 * abs(value) for name, value in values)


def save(results: Results, path: Path) -> None:
    """Write a results file atomically. Raises BenchInputError if it cannot be written."""
    write(in_lines(results.model_dump_json(indent=1)).encode() + b"\n", path)


def load(path: Path) -> Results:
    """Read a results file of this or an older version. Raises BenchInputError for anything else."""
    try:
        data = read_document(path, MAXIMUM_BYTES, "results file")
        document = json.loads(data, parse_int=_integer)
    except OSError as error:
        raise BenchInputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise BenchInputError(f"{path}: not a results file (no JSON)") from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise BenchInputError(f"{path}: not a results file (no schema_version)")
    version = document["schema_version"]
    while type(version) is int and version in UPGRADES:
        try:
            document = UPGRADES[version](document)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise BenchInputError(f"{path}: not a valid results file of version {version}") from error
        version = document["schema_version"]
    if type(version) is not int or version != SCHEMA_VERSION:  # JSON's true is not a version
        raise BenchInputError(f"{path}: results of version {version}; this program reads up to {SCHEMA_VERSION}")
    try:
        return Results.model_validate_json(json.dumps(document, allow_nan=False))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BenchInputError(f"{path}: not a valid results file: {place or 'it'}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:  # 1e999, or lists without end
        raise BenchInputError(f"{path}: not a valid results file: {error}") from error


def _from_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had no p95, no intervals and no energy, and one process a model."""
    for entry in document["entries"]:
        if entry.get("summary") is not None:
            samples = [sample for burst in entry["bursts"] for sample in burst["samples_ns"]]
            entry["summary"]["p95_ns"] = float(np.percentile(np.array(samples, np.float64), 95))
    return document | {"schema_version": 2}


def _from_version_2(document: dict[str, Any]) -> dict[str, Any]:
    """Version 2 had no counts, profiles and peaks, and did not say what the runtime alone takes."""
    return document | {"schema_version": 3}


def _from_version_3(document: dict[str, Any]) -> dict[str, Any]:
    """Version 3 knew one output, and top-1 alone."""
    for entry in document["entries"]:
        accuracy, agreement = entry.pop("accuracy", None), entry.pop("agreement", None)
        if accuracy is not None:
            if not 0 <= accuracy["correct"] <= accuracy["samples"]:
                raise ValueError("more right classes than images")
            kept = {name: accuracy[name] for name in ("data", "samples", "interval")}
            entry["quality"] = [kept | {"metric": "top1", "value": accuracy["top1"], "unit": "share"}]
        if agreement is not None:
            equal = agreement.pop("top1_equal")
            entry["agreement"] = [agreement | {"output": None, "classes_equal": equal}]
    return document | {"schema_version": 4}


def _from_version_4(document: dict[str, Any]) -> dict[str, Any]:
    """Version 4 knew latency back to back alone."""
    if "seconds" in document["options"]:
        document["options"] |= {"every": 0.0, "ticks": 60, "cold": False}
    return document | {"schema_version": 5}


def _from_version_5(document: dict[str, Any]) -> dict[str, Any]:
    """Version 5 had what a call takes by runtime, in the place of one beside every profile."""
    calls = (document.get("peaks") or {}).pop("calls", {})
    for entry in document["entries"]:
        call = calls.get((entry.get("runtime") or {}).get("name"))
        if entry.get("profile") and call:
            entry["profile"]["call"] = call
    return document | {"schema_version": 6}


# Version n -> a function that turns a document of version n into one of n + 1.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _from_version_1,
    2: _from_version_2,
    3: _from_version_3,
    4: _from_version_4,
    5: _from_version_5,
}


def _integer(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**64:
        raise ValueError("a number has more than 64 bits")
    return number
