"""Measuring several models against each other: fresh worker processes, interleaved in shuffled rounds."""

import hashlib
import math
import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from runtime_bench.devices.device import CountingDevice, Device, WorkerHandle
from runtime_bench.devices.local import LocalDevice
from runtime_bench.environment import Environment
from runtime_bench.errors import BenchInputError, CannotCount, DeviceError, WorkerError
from runtime_bench.golden import GoldenVector, Tolerance, agreement, agreement_of
from runtime_bench.results import (
    Accuracy,
    Agreement,
    Burst,
    Counts,
    Entry,
    Failure,
    Flag,
    Memory,
    ModelInfo,
    Results,
    RuntimeInfo,
    summarise,
)
from runtime_bench.stats import intervals
from runtime_bench.validity import SATURATING, flags, not_counted

IMAGES_PER_REQUEST = 200
EMULATED_IMAGES_PER_REQUEST = 10
COUNTED_RUNS = 3
# How far an emulated CPU may be off this one: it adds the same numbers in another order.
EMULATED_TOLERANCE = Tolerance(rtol=1e-5)
EXACT = Tolerance(rtol=0.0, top1=False)
LONGEST_WARM_UP = 10.0  # seconds beyond the asked ones, for a model that does not become stable
FASTEST: Literal["fastest"] = "fastest"
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Evaluation:
    """Images for accuracy: a .npy file of uint8 (N, H, W, C) at the model's input size, and their classes."""

    data: str
    pixels: Path
    labels: np.ndarray
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Candidate:
    """A model file to measure, and what its results should say of it.

    twin: the same quantization with int8 activations, for devices that saturate uint8 x int8. mixed: parts of an int8
    file are in float, so that two CPUs may differ by a step.
    """

    path: Path
    runtime: str
    name: str
    target: str
    precision: str
    role: Any = None
    identity: str | None = None
    parent: str | None = None
    parameters: int | None = None
    macs: int | None = None
    operators: dict[str, int] | None = None
    golden: tuple[GoldenVector, ...] = ()
    tolerance: Tolerance | None = None
    evaluation: Evaluation | None = None
    twin: Path | None = None
    mixed: bool = False


@dataclass(frozen=True)
class Protocol:
    """How it is measured: at least `runs` samples and `seconds` of them a model.

    They are spread over so many fresh `processes` of each model, and over `rounds` in each of these. A process is
    warmed up by at least `warm_up_runs` and `warm_up_seconds`, and until it is stable. `timeout` bounds every answer of
    a worker in seconds (and that times `threads` its time on the CPUs), `memory_limit` its address space in bytes
    (None: three quarters of the device's memory for each file). `cpus` is where it runs: numbers, FASTEST (as many of
    the device's fastest as there are threads) or None, wherever the system likes. Every model is measured with each
    number of `threads`. Raises BenchInputError for values without a meaning.
    """

    threads: tuple[int, ...] = (1,)
    runs: int = 50
    seconds: float = 5.0
    processes: int = 5
    rounds: int = 2
    warm_up_runs: int = 5
    warm_up_seconds: float = 1.0
    timeout: float = 300.0
    memory_limit: int | None = None
    cpus: tuple[int, ...] | Literal["fastest"] | None = FASTEST
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.threads, default=0) < 1 or min(self.runs, self.processes, self.rounds) < 1:
            raise BenchInputError("threads, runs, processes and rounds are at least 1")
        if len(set(self.threads)) < len(self.threads) or self.warm_up_runs < 0:
            raise BenchInputError("numbers of threads are different ones, and runs of warm-up at least 0")
        if not all(0 <= seconds < math.inf for seconds in (self.seconds, self.warm_up_seconds)):
            raise BenchInputError("seconds, also of warm-up, are at least 0 and finite")
        if not 0 < self.timeout < math.inf:
            raise BenchInputError("the time limit is more than 0 seconds and finite")
        if self.memory_limit is not None and self.memory_limit < 1:
            raise BenchInputError("the memory limit is at least 1 byte")
        chosen = (0,) if self.cpus in (None, FASTEST) else self.cpus
        if not chosen or min(chosen) < 0 or len(set(chosen)) < len(chosen):
            raise BenchInputError("CPUs to run on are different numbers from 0, at least one")


@dataclass
class _Subject:
    """A candidate under measurement with a number of threads; `number` tells it from the others."""

    candidate: Candidate
    info: ModelInfo
    number: int
    threads: int
    cpus: tuple[int, ...] | None
    worker: WorkerHandle | None = None
    loads: list[dict[str, Any]] = field(default_factory=list)
    burst_runs: int = 0
    bursts: list[Burst] = field(default_factory=list)
    joules: list[float | None] = field(default_factory=list)
    memory: Memory | None = None
    accuracy: Accuracy | None = None
    agreement: Agreement | None = None
    failure: Failure | None = None
    outputs: list[np.ndarray] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    counts: Counts | None = None
    uncounted: str | None = None
    saturated: bool = False
    taken_over: Entry | None = None
    tell: Callable[[str], None] = lambda text: None

    @property
    def alive(self) -> bool:
        return self.failure is None and self.taken_over is None

    @property
    def loaded(self) -> dict[str, Any]:
        """What the youngest worker said of the file."""
        return self.loads[-1] if self.loads else {}


def bench(
    candidates: Sequence[Candidate],
    device: Device,
    protocol: Protocol,
    *,
    probe: Candidate | None = None,
    earlier: Results | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Results:
    """Measure every candidate and return the results; a model that fails is an entry with its reason.

    While one worker measures, the others and this process sleep. Accuracy and golden vectors come after the timing:
    on a device that misses the golden outputs of `probe`, those of a candidate with a twin are the twin's. What
    `earlier` results of this device have in whole of a file is taken over. On an emulated device no time is taken: its
    answers are compared with this host's, and what one inference does is counted.
    Ctrl-C ends the measurement and keeps what there is. Raises BenchInputError for a file that is missing, or CPUs that
    the device does not have, before anything is measured.
    """
    if not candidates:
        raise BenchInputError("nothing to measure: no exported file that a runtime can load")
    for candidate in candidates:
        _check_files(candidate)
    before = device.environment()
    subjects = _subjects(candidates, device, protocol, before.cores)
    if earlier is not None:
        if (earlier.before.cpu, earlier.options.get("device")) != (before.cpu, device.name):
            raise BenchInputError(f"the earlier results are of another machine ({earlier.before.cpu}): measure anew")
        for subject in subjects:
            subject.taken_over = next((entry for entry in earlier.entries if _is_whole(entry, subject, protocol)), None)
    for runtime in {candidate.runtime for candidate in candidates}:
        lacking = device.lacks(runtime)
        for subject in subjects:
            if lacking is not None and subject.candidate.runtime == runtime:
                subject.failure = Failure(kind="missing-runtime", message=lacking)
    interrupted = False
    order, rounds = random.Random(protocol.seed), protocol.processes * protocol.rounds
    step = _Steps(progress, len(subjects) * (2 if device.emulated else protocol.processes * (protocol.rounds + 1) + 1))
    for subject in subjects:
        subject.tell = step.still
    host = LocalDevice() if device.emulated else device
    with ExitStack() as stack:
        stack.callback(device.close)
        stack.callback(host.close)
        try:
            if probe is not None and any(subject.candidate.twin is not None for subject in subjects):
                saturates = _saturates(host, protocol, probe, subjects[0].cpus)
                for subject in subjects:
                    subject.saturated = saturates and subject.candidate.twin is not None
            for subject in subjects if device.emulated else ():
                for name, action in (("checking", partial(_prove, host=host)), ("counting", _count)):
                    step(f"{name} {subject.info.name} ({subject.candidate.runtime})")
                    if subject.alive:
                        _guard(subject, partial(action, subject, device, protocol))
            for process in range(0 if device.emulated else protocol.processes):
                shuffled = order.sample(subjects, len(subjects))
                for batch in [subjects] if device.side_by_side else [[subject] for subject in shuffled]:
                    with ExitStack() as workers:
                        for subject in batch:
                            step(f"loading {subject.info.name} ({subject.candidate.runtime})")
                            if subject.alive:
                                _guard(subject, partial(_load, subject, device, protocol, workers))
                        for number in range(protocol.rounds):
                            for subject in order.sample(batch, len(batch)):
                                step(f"measuring, round {process * protocol.rounds + number + 1} of {rounds}")
                                if subject.alive:
                                    _guard(subject, partial(_measure, subject, protocol, process, number))
                        if process + 1 == protocol.processes:
                            for subject in batch:
                                step(f"checking {subject.info.name} ({subject.candidate.runtime})")
                                if subject.alive:
                                    _guard(subject, partial(_check, subject, device, protocol))
        except KeyboardInterrupt:
            interrupted = True
        after = _environment_after(device, before)
        entries = tuple(_entry(subject, device, protocol, before, after) for subject in subjects)
    step.done("measured")
    return Results(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        options=asdict(protocol) | {"device": device.name},
        before=before,
        after=after,
        interrupted=interrupted,
        entries=entries,
    )


def _environment_after(device: Device, before: Environment) -> Environment:
    """The device's state now, or as it was where it cannot be asked any more: what was measured is kept."""
    try:
        return device.environment()
    except DeviceError:
        return before


def _is_whole(entry: Entry, subject: _Subject, protocol: Protocol) -> bool:
    """Whether an entry says of a subject all that would be measured now."""
    candidate = subject.candidate
    return (
        entry.failure is None
        and entry.model.sha256 == subject.info.sha256
        and entry.runtime is not None
        and (entry.runtime.name, entry.runtime.threads) == (candidate.runtime, subject.threads)
        and (entry.counts is not None or (entry.summary is not None and entry.summary.count >= protocol.runs))
        and (entry.agreement is not None or not candidate.golden)
        and (entry.accuracy is not None or candidate.evaluation is None)
    )


class _Steps:
    """Progress through a known number of steps."""

    def __init__(self, progress: Progress, total: int):
        self._progress, self._total, self._number = progress, total, 0

    def __call__(self, text: str) -> None:
        self._progress(self._number, self._total, text)
        self._number += 1

    def still(self, text: str) -> None:
        """What the step that has begun is doing now."""
        self._progress(self._number - 1, self._total, text)

    def done(self, text: str) -> None:
        self._progress(self._total, self._total, text)


def _subjects(candidates: Sequence[Candidate], device: Device, protocol: Protocol, cores: int) -> list[_Subject]:
    """Every candidate with every number of threads. Raises BenchInputError for CPUs that the device does not have."""
    if device.emulated and protocol.threads != (1,):
        raise BenchInputError(f"{device.name} is emulated, with one thread: leave --threads out")
    subjects: list[_Subject] = []
    for candidate in candidates:
        info = _describe(candidate)
        for threads in protocol.threads:
            cpus = device.fastest_cpus(threads) if protocol.cpus == FASTEST else protocol.cpus
            missing = [cpu for cpu in cpus or () if cpu >= cores]
            if missing:
                raise BenchInputError(f"there is no CPU {missing[0]}; {device.name} has CPUs 0 to {cores - 1}")
            subjects.append(_Subject(candidate, info, len(subjects), threads, cpus))
    return subjects


def _check_files(candidate: Candidate) -> None:
    """Golden vectors and images, before time is spent on measuring."""
    for vector in candidate.golden:
        for path in (vector.input, vector.output):
            if not path.is_file():
                raise BenchInputError(f"{path}: there is no such golden vector")
    if candidate.evaluation is not None:
        path, count = candidate.evaluation.pixels, len(candidate.evaluation.labels)
        try:
            images = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BenchInputError(f"{path}: not a .npy file of images") from error
        if images.dtype != np.uint8 or images.ndim != 4 or count == 0 or len(images) != count:
            raise BenchInputError(f"{path}: {images.dtype} {images.shape} are not uint8 images for {count} labels")


def _describe(candidate: Candidate) -> ModelInfo:
    try:
        data = candidate.path.read_bytes()
    except OSError as error:
        raise BenchInputError(f"{candidate.path}: cannot be read ({error.strerror})") from error
    return ModelInfo(
        name=candidate.name,
        file=candidate.path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        target=candidate.target,
        precision=candidate.precision,
        role=candidate.role,
        identity=candidate.identity,
        parent=candidate.parent,
        parameters=candidate.parameters,
        macs=candidate.macs,
        operators=candidate.operators,
    )


def _guard(subject: _Subject, action: Callable[[], None]) -> None:
    """Run a step for one model; its failure is kept and costs nobody else anything."""
    try:
        action()
    except WorkerError as error:
        subject.failure = Failure(kind=error.kind, message=str(error), signal=error.signal)
    except DeviceError as error:
        subject.failure = Failure(kind="device", message=str(error))


def _load(subject: _Subject, device: Device, protocol: Protocol, stack: ExitStack) -> None:
    """Start a worker, load and warm up, and find out how many runs make a burst."""
    remote = device.push(subject.candidate.path)
    subject.worker = stack.enter_context(device.start_worker())
    subject.loads.append(_open(subject, protocol, remote))
    until = protocol.warm_up_seconds + LONGEST_WARM_UP if protocol.warm_up_seconds else None
    _ask(subject, protocol, "warm_up", runs=protocol.warm_up_runs, seconds=protocol.warm_up_seconds, until=until)
    sample = float(np.median(_ask(subject, protocol, "measure", runs=5)["samples_ns"])) / 1e9
    wanted = max(protocol.runs, math.ceil(protocol.seconds / max(sample, 1e-9)))
    subject.burst_runs = math.ceil(wanted / (protocol.processes * protocol.rounds))


def _open(subject: _Subject, protocol: Protocol, remote: str, *, signed: bool = False) -> dict[str, Any]:
    """What the worker says of a file that it has loaded."""
    return _ask(
        subject,
        protocol,
        "load",
        path=remote,
        runtime=subject.candidate.runtime,
        threads=subject.threads,
        cpus=subject.cpus,
        memory_limit=protocol.memory_limit,
        signed=signed,
    )


def _saturates(device: Device, protocol: Protocol, probe: Candidate, cpus: tuple[int, ...] | None) -> bool:
    """Whether the device answers the probe wrongly. One that cannot answer it is not accused."""
    subject = _Subject(probe, _describe(probe), -1, 1, cpus)
    _guard(subject, partial(_check_apart, subject, device, protocol))
    return subject.agreement is not None and not subject.agreement.within_tolerance


def _measure(subject: _Subject, protocol: Protocol, process: int, number: int) -> None:
    """One burst. The first two runs after another model had the caches are warm-up again."""
    _ask(subject, protocol, "warm_up", runs=2, seconds=0)
    burst = _ask(subject, protocol, "measure", runs=subject.burst_runs)
    subject.bursts.append(Burst(process=process, round=number, samples_ns=tuple(burst["samples_ns"])))
    subject.joules.append(burst.get("energy_j"))


def _check(subject: _Subject, device: Device, protocol: Protocol) -> None:
    """Memory, golden vectors and accuracy."""
    subject.memory = _memory(subject, protocol)
    if subject.saturated:
        assert subject.candidate.twin is not None
        twin = replace(subject.candidate, path=subject.candidate.twin)
        stand_in = _Subject(twin, subject.info, subject.number, subject.threads, subject.cpus, tell=subject.tell)
        _check_apart(stand_in, device, protocol, signed=True)
        subject.agreement, subject.accuracy, subject.failure = stand_in.agreement, stand_in.accuracy, stand_in.failure
    else:
        _check_answers(subject, device, protocol)


def _memory(subject: _Subject, protocol: Protocol) -> Memory:
    return Memory(
        bare=subject.loaded.get("memory_bare"),
        before_load=subject.loaded["memory_before_load"],
        after_load=subject.loaded["memory_after_load"],
        peak=_ask(subject, protocol, "memory")["peak"],
    )


def _check_apart(subject: _Subject, device: Device, protocol: Protocol, *, signed: bool = False) -> None:
    """Golden vectors and accuracy in a worker that is there for nothing else."""
    remote = device.push(subject.candidate.path)
    with device.start_worker() as subject.worker:
        subject.loads.append(_open(subject, protocol, remote, signed=signed))
        _check_answers(subject, device, protocol)


def _check_answers(subject: _Subject, device: Device, protocol: Protocol) -> None:
    candidate = subject.candidate
    if candidate.golden:
        subject.outputs = _replay(subject, device, protocol, [vector.input for vector in candidate.golden])
    if candidate.golden and candidate.tolerance is not None:
        subject.agreement = agreement(candidate.golden, subject.outputs, candidate.tolerance)
        if not subject.agreement.within_tolerance:
            subject.failure = Failure(kind="wrong-outputs", message=_disagreement(subject.agreement, "the golden ones"))
            return
    if candidate.evaluation is not None:
        subject.accuracy = _evaluate(subject, device, protocol, candidate.evaluation)


def _prove(subject: _Subject, device: Device, protocol: Protocol, *, host: Device) -> None:
    """Memory, golden vectors and accuracy on an emulated device; its outputs and classes must be those of this host.

    A file without golden vectors answers noise.
    """
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        with device.start_worker() as subject.worker:
            subject.loads.append(_open(subject, protocol, device.push(subject.candidate.path)))
            subject.memory = _memory(subject, protocol)
            if not subject.candidate.golden:
                subject.candidate = replace(subject.candidate, golden=_noise(subject.loaded["input"], Path(folder)))
            _check_answers(subject, device, protocol)
        if subject.failure is not None:
            return
        candidate = subject.candidate
        if subject.saturated:
            assert candidate.twin is not None
            candidate = replace(candidate, path=candidate.twin)
        here = _Subject(candidate, subject.info, subject.number, subject.threads, subject.cpus)
        _check_apart(here, host, protocol, signed=subject.saturated)
    if here.failure is not None:
        subject.failure = here.failure.model_copy(update={"message": f"on this host, {here.failure.message}"})
        return
    difference = _difference(subject, here)
    if difference is not None:
        subject.failure = Failure(kind="wrong-outputs", message=difference)


def _noise(source: dict[str, Any], folder: Path) -> tuple[GoldenVector, ...]:
    """An input for a file that brings none; there is no output to it, and no input where integers are asked for."""
    if source["dtype"] != "float32":
        return ()
    path = folder / "noise.bin"
    np.random.default_rng(0).standard_normal(source["shape"]).astype("<f4").tofile(path)
    return (GoldenVector(path, path),)


def _difference(subject: _Subject, here: _Subject) -> str | None:
    """How answers differ from those that were given here, or None."""
    candidate, tolerance = subject.candidate, EMULATED_TOLERANCE
    if candidate.precision == "int8":
        tolerance = candidate.tolerance if candidate.mixed and candidate.tolerance is not None else EXACT
    if here.outputs:
        found = agreement_of(here.outputs, subject.outputs, tolerance)
        if not found.within_tolerance:
            return _disagreement(found, "those of this host")
    different = [index for index, one in enumerate(subject.classes) if one != here.classes[index]]
    if different:
        return f"{len(different)} of {len(here.classes)} images have another class on this host, image {different[0]} first"
    return None


def _count(subject: _Subject, device: Device, protocol: Protocol) -> None:
    """What one inference does: the median of several by their instructions, after one that fills the caches."""
    assert isinstance(device, CountingDevice)
    try:
        counter = device.start_counter()
    except CannotCount as error:
        subject.uncounted = str(error)
        return
    with counter as subject.worker:
        _open(subject, protocol, device.push(subject.candidate.path))
        counted = [_ask(subject, protocol, "count") for _ in range(1 + COUNTED_RUNS)][1:]
    subject.counts = Counts(**sorted(counted, key=lambda counts: counts["instructions"])[COUNTED_RUNS // 2])


def _replay(subject: _Subject, device: Device, protocol: Protocol, inputs: Sequence[Path]) -> list[np.ndarray]:
    """The outputs (flat) of input files."""
    outputs = [f"{device.scratch()}/{subject.number}.{index}.bin" for index in range(len(inputs))]
    for path, output in zip(inputs, outputs, strict=True):  # so that the time limit is for one
        _ask(subject, protocol, "replay", inputs=[device.push(path)], outputs=[output])
    found = []
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        for remote in outputs:
            local = Path(folder, "output.bin")
            device.fetch(remote, local)
            found.append(np.fromfile(local, subject.loaded["output"]["dtype"]))
    return found


def _disagreement(found: Agreement, others: str) -> str:
    if found.max_abs is None:
        return f"its outputs cannot be compared with {others}: more or fewer numbers, or some not finite"
    off = f"{found.max_abs:.1e}" if found.max_relative is None else f"{found.max_relative:.1e} of the largest"
    classes = f"{found.top1_equal} of {found.vectors} classes are the same"
    return f"its outputs are up to {off} off {others}; {classes}"


def _evaluate(subject: _Subject, device: Device, protocol: Protocol, evaluation: Evaluation) -> Accuracy:
    from scipy.stats import binomtest

    pixels, samples = device.push(evaluation.pixels), len(evaluation.labels)
    size = EMULATED_IMAGES_PER_REQUEST if device.emulated else IMAGES_PER_REQUEST
    for start in range(0, samples, size):  # so that the time limit is for a piece, whatever DATA holds
        stop = min(start + size, samples)
        piece = {"pixels": pixels, "mean": evaluation.mean, "std": evaluation.std, "start": start, "stop": stop}
        subject.classes += _ask(subject, protocol, "evaluate", **piece)["classes"]
        if 10 * stop // samples > 10 * start // samples:  # ten times a model, however many pieces
            subject.tell(f"accuracy of {subject.info.name}: {stop:,} of {samples:,} images")
    correct = int((np.array(subject.classes) == evaluation.labels).sum())
    interval = binomtest(correct, samples).proportion_ci(0.95, method="wilson")
    return Accuracy(
        data=evaluation.data,
        samples=samples,
        correct=correct,
        top1=correct / samples,
        interval=(float(interval.low), float(interval.high)),
    )


def _ask(subject: _Subject, protocol: Protocol, action: str, **request: Any) -> dict[str, Any]:
    assert subject.worker is not None
    cpu_seconds = protocol.timeout * subject.threads
    return subject.worker.ask(action, timeout=protocol.timeout, cpu_seconds=cpu_seconds, **request)


def _entry(subject: _Subject, device: Device, protocol: Protocol, before: Environment, after: Environment) -> Entry:
    if subject.taken_over is not None:
        return subject.taken_over
    loaded = subject.loaded
    bursts = tuple(subject.bursts)
    summary = summarise(bursts)
    doubts: list[Flag] = []
    if summary is not None:
        pinned = subject.cpus is not None
        doubts += flags(bursts, summary, wanted=protocol.runs, pinned=pinned, before=before, after=after)
    if subject.saturated and not device.emulated:
        doubts.append(SATURATING)
    if subject.uncounted is not None:
        doubts.append(not_counted(subject.uncounted))
    return Entry(
        model=subject.info,
        runtime=RuntimeInfo(**loaded["runtime"], threads=subject.threads) if loaded else None,
        device=device.name,
        emulated=device.emulated,
        cpus=tuple(loaded.get("cpus", ())),
        load_ns=None if device.emulated else _median(load["load_ns"] for load in subject.loads),
        first_inference_ns=None
        if device.emulated
        else _median(load["first_inference_ns"] for load in subject.loads),
        bursts=bursts,
        summary=summary,
        intervals=None if summary is None else intervals(bursts),
        energy_j=_energy(subject),
        memory=subject.memory,
        accuracy=subject.accuracy,
        agreement=subject.agreement,
        counts=subject.counts,
        flags=tuple(doubts),
        failure=subject.failure,
    )


def _energy(subject: _Subject) -> float | None:
    """Joules of an inference, of all bursts together: a sensor has no time for a single one."""
    known = [joules for joules in subject.joules if joules is not None]
    if not known or len(known) < len(subject.joules):
        return None
    return sum(known) / sum(len(burst.samples_ns) for burst in subject.bursts)


def _median(values: Iterable[int]) -> int | None:
    found = [*values]
    return int(np.median(found)) if found else None
