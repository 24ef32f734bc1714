"""Measuring several models against each other: one worker process each, interleaved in shuffled rounds."""

import hashlib
import math
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from runtime_bench.devices.device import Device, WorkerHandle
from runtime_bench.errors import BenchInputError, DeviceError, WorkerError
from runtime_bench.golden import GoldenVector, Tolerance, agreement
from runtime_bench.results import (
    Accuracy,
    Agreement,
    Burst,
    Entry,
    Failure,
    Memory,
    ModelInfo,
    Results,
    RuntimeInfo,
    summarise,
)
from runtime_bench.validity import SATURATING, flags

IMAGES_PER_REQUEST = 200
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

    twin: the same quantization with int8 activations, for devices that saturate uint8 x int8.
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
    golden: tuple[GoldenVector, ...] = ()
    tolerance: Tolerance | None = None
    evaluation: Evaluation | None = None
    twin: Path | None = None


@dataclass(frozen=True)
class Protocol:
    """How it is measured: at least `runs` samples and `seconds` of them a model, spread over `rounds`.

    A model is warmed up by at least `warm_up_runs` and `warm_up_seconds`. `timeout` bounds every answer of a worker in
    seconds (and that times `threads` its time on the CPUs), `memory_limit` its address space in bytes (None: three
    quarters of the device's memory for each file), `cpus` where it runs (None: wherever this process may). Raises
    BenchInputError for values without a meaning.
    """

    threads: int = 1
    runs: int = 50
    seconds: float = 5.0
    rounds: int = 10
    warm_up_runs: int = 5
    warm_up_seconds: float = 1.0
    timeout: float = 300.0
    memory_limit: int | None = None
    cpus: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.threads, self.runs, self.rounds) < 1 or self.warm_up_runs < 0:
            raise BenchInputError("threads, runs and rounds are at least 1, runs of warm-up at least 0")
        if not all(0 <= seconds < math.inf for seconds in (self.seconds, self.warm_up_seconds)):
            raise BenchInputError("seconds, also of warm-up, are at least 0 and finite")
        if not 0 < self.timeout < math.inf:
            raise BenchInputError("the time limit is more than 0 seconds and finite")
        if self.memory_limit is not None and self.memory_limit < 1:
            raise BenchInputError("the memory limit is at least 1 byte")
        if self.cpus is not None and (not self.cpus or min(self.cpus) < 0 or len(set(self.cpus)) < len(self.cpus)):
            raise BenchInputError("CPUs to run on are different numbers from 0, at least one")


@dataclass
class _Subject:
    """A candidate under measurement."""

    candidate: Candidate
    info: ModelInfo
    process: int
    worker: WorkerHandle | None = None
    loaded: dict[str, Any] = field(default_factory=dict)
    burst_runs: int = 0
    bursts: list[Burst] = field(default_factory=list)
    memory: Memory | None = None
    accuracy: Accuracy | None = None
    agreement: Agreement | None = None
    failure: Failure | None = None
    saturated: bool = False

    @property
    def alive(self) -> bool:
        return self.failure is None


def bench(
    candidates: Sequence[Candidate],
    device: Device,
    protocol: Protocol,
    *,
    probe: Candidate | None = None,
    progress: Progress = lambda done, total, text: None,
) -> Results:
    """Measure every candidate and return the results; a model that fails is an entry with its reason.

    While one worker measures, the others and this process sleep. Accuracy and golden vectors come after the timing:
    on a device that misses the golden outputs of `probe`, those of a candidate with a twin are the twin's.
    Ctrl-C ends the measurement and keeps what there is. Raises BenchInputError for a file that is missing, or CPUs that
    the device does not have, before anything is measured.
    """
    if not candidates:
        raise BenchInputError("nothing to measure: no exported file that a runtime can load")
    for candidate in candidates:
        _check_files(candidate)
    subjects = [_Subject(candidate, _describe(candidate), index) for index, candidate in enumerate(candidates)]
    before = device.environment()
    missing = [cpu for cpu in protocol.cpus or () if cpu >= before.cores]
    if missing:
        raise BenchInputError(f"there is no CPU {missing[0]}; {device.name} has CPUs 0 to {before.cores - 1}")
    interrupted = False
    total = len(subjects) * (protocol.rounds + 2)
    with ExitStack() as stack:
        stack.callback(device.close)
        try:
            for index, subject in enumerate(subjects):
                progress(index, total, f"loading {subject.info.name} ({subject.candidate.runtime})")
                _guard(subject, partial(_load, subject, device, protocol, stack))
            if probe is not None and any(subject.candidate.twin is not None for subject in subjects):
                saturates = _saturates(device, protocol, probe)
                for subject in subjects:
                    subject.saturated = saturates and subject.candidate.twin is not None
            order = random.Random(protocol.seed)
            for number in range(protocol.rounds):
                for place, subject in enumerate(order.sample(subjects, len(subjects))):
                    if subject.alive:
                        done = len(subjects) * (number + 1) + place
                        progress(done, total, f"measuring, round {number + 1} of {protocol.rounds}")
                        _guard(subject, partial(_measure, subject, protocol, number))
            for index, subject in enumerate(subjects):
                if subject.alive:
                    done = len(subjects) * (protocol.rounds + 1) + index
                    progress(done, total, f"checking {subject.info.name} ({subject.candidate.runtime})")
                    _guard(subject, partial(_check, subject, device, protocol))
        except KeyboardInterrupt:
            interrupted = True
        after = device.environment()
        entries = tuple(_entry(subject, device, protocol, before.load_1min, before.cores) for subject in subjects)
    progress(total, total, "measured")
    return Results(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        options=asdict(protocol) | {"device": device.name},
        before=before,
        after=after,
        interrupted=interrupted,
        entries=entries,
    )


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
    """Start the worker, load and warm up, and find out how many runs make a burst."""
    remote = device.push(subject.candidate.path)
    subject.worker = stack.enter_context(device.start_worker())
    subject.loaded = _open(subject, protocol, remote)
    _ask(subject, protocol, "warm_up", runs=protocol.warm_up_runs, seconds=protocol.warm_up_seconds)
    sample = float(np.median(_ask(subject, protocol, "measure", runs=5)["samples_ns"])) / 1e9
    wanted = max(protocol.runs, math.ceil(protocol.seconds / max(sample, 1e-9)))
    subject.burst_runs = math.ceil(wanted / protocol.rounds)


def _open(subject: _Subject, protocol: Protocol, remote: str, *, signed: bool = False) -> dict[str, Any]:
    """What the worker says of a file that it has loaded."""
    return _ask(
        subject,
        protocol,
        "load",
        path=remote,
        runtime=subject.candidate.runtime,
        threads=protocol.threads,
        cpus=protocol.cpus,
        memory_limit=protocol.memory_limit,
        signed=signed,
    )


def _saturates(device: Device, protocol: Protocol, probe: Candidate) -> bool:
    """Whether the device answers the probe wrongly. One that cannot answer it is not accused."""
    subject = _Subject(probe, _describe(probe), process=-1)
    _guard(subject, partial(_check_apart, subject, device, protocol))
    return subject.agreement is not None and not subject.agreement.within_tolerance


def _measure(subject: _Subject, protocol: Protocol, number: int) -> None:
    """One burst. The first two runs after another model had the caches are warm-up again."""
    _ask(subject, protocol, "warm_up", runs=2, seconds=0)
    samples = _ask(subject, protocol, "measure", runs=subject.burst_runs)["samples_ns"]
    subject.bursts.append(Burst(process=subject.process, round=number, samples_ns=tuple(samples)))


def _check(subject: _Subject, device: Device, protocol: Protocol) -> None:
    """Memory, golden vectors and accuracy."""
    memory = _ask(subject, protocol, "memory")
    subject.memory = Memory(
        before_load=subject.loaded["memory_before_load"],
        after_load=subject.loaded["memory_after_load"],
        peak=memory["peak"],
    )
    if subject.saturated:
        assert subject.candidate.twin is not None
        twin = replace(subject.candidate, path=subject.candidate.twin)
        stand_in = _Subject(twin, subject.info, subject.process)
        _check_apart(stand_in, device, protocol, signed=True)
        subject.agreement, subject.accuracy, subject.failure = stand_in.agreement, stand_in.accuracy, stand_in.failure
    else:
        _check_answers(subject, device, protocol)


def _check_apart(subject: _Subject, device: Device, protocol: Protocol, *, signed: bool = False) -> None:
    """Golden vectors and accuracy in a worker that is there for nothing else."""
    remote = device.push(subject.candidate.path)
    with device.start_worker() as subject.worker:
        subject.loaded = _open(subject, protocol, remote, signed=signed)
        _check_answers(subject, device, protocol)


def _check_answers(subject: _Subject, device: Device, protocol: Protocol) -> None:
    candidate = subject.candidate
    if candidate.golden and candidate.tolerance is not None:
        found = _replay(subject, device, protocol, candidate.golden)
        subject.agreement = agreement(candidate.golden, found, candidate.tolerance)
        if not subject.agreement.within_tolerance:
            subject.failure = Failure(kind="wrong-outputs", message=_disagreement(subject.agreement))
            return
    if candidate.evaluation is not None:
        subject.accuracy = _evaluate(subject, device, protocol, candidate.evaluation)


def _replay(subject: _Subject, device: Device, protocol: Protocol, vectors: Sequence[GoldenVector]) -> list[np.ndarray]:
    """The outputs (flat) of the golden inputs."""
    outputs = [f"{device.scratch()}/{subject.process}.{index}.bin" for index in range(len(vectors))]
    _ask(subject, protocol, "replay", inputs=[device.push(vector.input) for vector in vectors], outputs=outputs)
    found = []
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        for remote in outputs:
            local = Path(folder, "output.bin")
            device.fetch(remote, local)
            found.append(np.fromfile(local, subject.loaded["output"]["dtype"]))
    return found


def _disagreement(found: Agreement) -> str:
    if found.max_abs is None:
        return "its outputs cannot be compared with the golden ones: more or fewer numbers, or some not finite"
    off = f"{found.max_abs:.1e}" if found.max_relative is None else f"{found.max_relative:.1e} of the largest"
    classes = f"{found.top1_equal} of {found.vectors} classes are the same"
    return f"its outputs are up to {off} off the golden ones; {classes}"


def _evaluate(subject: _Subject, device: Device, protocol: Protocol, evaluation: Evaluation) -> Accuracy:
    from scipy.stats import binomtest

    pixels, samples, correct = device.push(evaluation.pixels), len(evaluation.labels), 0
    for start in range(0, samples, IMAGES_PER_REQUEST):  # so that the time limit is for a piece, whatever DATA holds
        stop = min(start + IMAGES_PER_REQUEST, samples)
        piece = {"pixels": pixels, "mean": evaluation.mean, "std": evaluation.std, "start": start, "stop": stop}
        classes = _ask(subject, protocol, "evaluate", **piece)["classes"]
        correct += int((np.array(classes) == evaluation.labels[start:stop]).sum())
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
    cpu_seconds = protocol.timeout * protocol.threads
    return subject.worker.ask(action, timeout=protocol.timeout, cpu_seconds=cpu_seconds, **request)


def _entry(subject: _Subject, device: Device, protocol: Protocol, load_before: float | None, cores: int) -> Entry:
    loaded = subject.loaded
    bursts = tuple(subject.bursts)
    summary = summarise(bursts)
    return Entry(
        model=subject.info,
        runtime=RuntimeInfo(**loaded["runtime"], threads=protocol.threads) if loaded else None,
        device=device.name,
        emulated=device.emulated,
        cpus=tuple(loaded.get("cpus", ())),
        load_ns=loaded.get("load_ns"),
        first_inference_ns=loaded.get("first_inference_ns"),
        bursts=bursts,
        summary=summary,
        memory=subject.memory,
        accuracy=subject.accuracy,
        agreement=subject.agreement,
        flags=(
            *(() if summary is None else flags(bursts, summary, protocol.runs, load_before, cores)),
            *((SATURATING,) if subject.saturated else ()),
        ),
        failure=subject.failure,
    )
