"""A candidate under measurement: its file, the worker that has it loaded, and what was found so far."""

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from runtime_bench.devices.device import Device, WorkerHandle
from runtime_bench.devices.local import LocalDevice
from runtime_bench.environment import Environment
from runtime_bench.errors import BenchInputError, DeviceError, WorkerError
from runtime_bench.files import PrivateModel, readable
from runtime_bench.golden import GoldenVector, Tolerance, agreements
from runtime_bench.outputs import Meaning, Reduction, as_meant, reduced, split, stacked
from runtime_bench.replies import REQUESTS, Evaluated, Kind, Loaded, Output, Replayed, Weighed, checked
from runtime_bench.results import (
    Agreement,
    Burst,
    Cold,
    Counts,
    Entry,
    Failure,
    Flag,
    Memory,
    ModelInfo,
    Paced,
    Quality,
    RuntimeInfo,
)
from runtime_bench.stats import with_summary
from runtime_bench.validity import SATURATING, flags, flags_apart, no_cycles, not_counted

IMAGES_PER_REQUEST = 200
EMULATED_IMAGES_PER_REQUEST = 10
BYTES_PER_REQUEST = 64 << 20  # of outputs: a worker may write four times as much to a file
LARGE = 1 << 16  # bytes of an inference's outputs that are sent as float16
FASTEST: Literal["fastest"] = "fastest"
# A cold inference takes at most so many times as long as one back to back, and so many seconds more.
COLD_FACTOR, COLD_SECONDS = 2.0, 0.002
EVERY, TICKS = 0.033, 60  # seconds between a camera's frames
SHORTEST_TICK, LONGEST_TICK = 0.001, 60.0  # seconds


@dataclass(frozen=True)
class Evaluation:
    """Images, and what says how good the answers to them are.

    pixels: a .npy file of `samples` of them, uint8 (N, H, W, C) at the model's input size. metrics: the names of the
    qualities that `score` finds in the outputs of all of them: arrays (N, ...) as in runtime_bench.outputs, in the
    order of the file. What it raises is no failure of the device. only_classes: `score` asks for the classes of the
    first output alone. exact: large outputs are not to be halved.
    """

    data: str
    pixels: Path
    samples: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    metrics: tuple[str, ...]
    score: Callable[[Sequence[np.ndarray]], Sequence[Quality]]
    only_classes: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Candidate:
    """A model file to measure, and what its results should say of it.

    outputs: what they mean, in the order of the file; tolerances: of each. twin: the same quantization with int8
    activations, for devices that saturate uint8 x int8. rounded: a twin that answers on this machine what the file has
    to answer on a device that rounds otherwise. mixed: parts of an int8 file are in float, so that two CPUs may differ
    by a step.
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
    rewrites: tuple[str, ...] = ()
    outputs: tuple[Meaning, ...] = ()
    golden: tuple[GoldenVector, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()
    evaluation: Evaluation | None = None
    twin: Path | None = None
    rounded: Path | None = None
    mixed: bool = False


@dataclass(frozen=True)
class Protocol:
    """How it is measured: at least `runs` samples and `seconds` of them a model.

    They are spread over so many fresh `processes` of each model, and over `rounds` in each of these. A process is
    warmed up by at least `warm_up_runs` and `warm_up_seconds`, and until it is stable. `timeout` bounds every answer of
    a worker in seconds (and that times `threads` its time on the CPUs), `memory_limit` its address space in bytes
    (None: three quarters of the device's memory for each file). `cpus` is where it runs: numbers, FASTEST (as many of
    the device's fastest as there are threads) or None, wherever the system likes. Every model is measured with each
    number of `threads`.

    Beside these samples, which are back to back, there are at least `ticks` of each model in the ways that follow.
    Paced: at one tick of every `every` seconds one model does an inference, in turns, and all sleep in between (0:
    none). cold: with emptied caches. Raises BenchInputError for values without a meaning.
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
    every: float = EVERY
    ticks: int = TICKS
    cold: bool = False

    def __post_init__(self) -> None:
        if min(self.threads, default=0) < 1 or min(self.runs, self.processes, self.rounds, self.ticks) < 1:
            raise BenchInputError("threads, runs, processes, rounds and ticks are at least 1")
        if len(set(self.threads)) < len(self.threads) or self.warm_up_runs < 0:
            raise BenchInputError("numbers of threads are different ones, and runs of warm-up at least 0")
        if not all(0 <= seconds < math.inf for seconds in (self.seconds, self.warm_up_seconds)):
            raise BenchInputError("seconds, also of warm-up, are at least 0 and finite")
        if self.every != 0 and not SHORTEST_TICK <= self.every <= LONGEST_TICK:
            raise BenchInputError(f"a tick comes every {SHORTEST_TICK:g} to {LONGEST_TICK:g} seconds, or never (0)")
        if not 0 < self.timeout < math.inf:
            raise BenchInputError("the time limit is more than 0 seconds and finite")
        if self.memory_limit is not None and self.memory_limit < 1:
            raise BenchInputError("the memory limit is at least 1 byte")
        chosen = (0,) if self.cpus in (None, FASTEST) else self.cpus
        if not chosen or min(chosen) < 0 or len(set(chosen)) < len(chosen):
            raise BenchInputError("CPUs to run on are different numbers from 0, at least one")


@dataclass
class Measurement:
    """A candidate on a device, with a number of threads; `number` tells it from the others.

    tell: says what it is doing. model: the file, of which the candidate's is a copy. Its methods raise DeviceError
    (WorkerError where the worker is to blame).
    """

    candidate: Candidate
    info: ModelInfo
    device: Device
    protocol: Protocol
    number: int
    threads: int
    cpus: tuple[int, ...] | None
    worker: WorkerHandle | None = None
    loads: list[Loaded] = field(default_factory=list)
    burst_runs: int = 0
    bursts: list[Burst] = field(default_factory=list)
    paced: list[Burst] = field(default_factory=list)
    missed: int = 0
    turns: list[int] = field(default_factory=list)  # of how many ticks one was its own, by process
    mhz: list[list[float]] = field(default_factory=list)  # before, at and after ticks, of every process
    cold: list[Burst] = field(default_factory=list)
    flushed: int = 0
    joules: list[float | None] = field(default_factory=list)
    memory: Memory | None = None
    quality: tuple[Quality, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    failure: Failure | None = None
    outputs: list[list[np.ndarray]] = field(default_factory=list)  # of every golden input
    answers: list[np.ndarray] = field(default_factory=list)  # to all images
    counts: Counts | None = None
    uncounted: str | None = None
    lacking_cycles: tuple[str, str] | None = None
    saturated: bool = False
    taken_over: Entry | None = None
    tell: Callable[[str], None] = lambda text: None
    model: PrivateModel | None = None

    def __str__(self) -> str:
        return f"{self.info.name} ({self.candidate.runtime})"

    @property
    def alive(self) -> bool:
        """Whether there is still something to do."""
        return self.failure is None and self.taken_over is None

    @property
    def loaded(self) -> Loaded | None:
        """What the youngest worker said of the file, if one has loaded it."""
        return self.loads[-1] if self.loads else None

    def attempt(self, action: Callable[[], None]) -> None:
        """Do a step, if there is still something to do; its failure is kept and costs nobody else anything."""
        if not self.alive:
            return
        try:
            action()
        except WorkerError as error:
            self.failure = Failure(kind=error.kind, message=str(error), signal=error.signal)
        except DeviceError as error:
            self.failure = Failure(kind="device", message=str(error))

    def ask(self, kind: type[Kind], *, sleeping: float = 0.0, **request: Any) -> Kind:
        """The reply of that kind to a request to the worker, within the limits of the protocol.

        sleeping: so many seconds of it the worker is asked to sleep.
        """
        assert self.worker is not None
        timeout, cpu_seconds = self.protocol.timeout + sleeping, self.protocol.timeout * self.threads
        reply = self.worker.ask(REQUESTS[kind], timeout=timeout, cpu_seconds=cpu_seconds, **request)
        return checked(kind, reply, request)

    def open(self, *, signed: bool = False) -> Loaded:
        """Have the worker load the file, and return what it says of it."""
        if self.model is not None:
            self.model.check()
        loaded = self.ask(
            Loaded,
            path=self.device.push(self.candidate.path),
            runtime=self.candidate.runtime,
            threads=self.threads,
            cpus=self.cpus,
            memory_limit=self.protocol.memory_limit,
            signed=signed,
        )
        self.loads.append(loaded)
        return loaded

    def stand_in(self, candidate: Candidate, device: Device | None = None) -> "Measurement":
        """Another candidate in this one's place, with nothing found yet."""
        where = self.device if device is None else device
        return Measurement(
            candidate, self.info, where, self.protocol, self.number, self.threads, self.cpus, tell=self.tell
        )

    def on_host(self, host: Device) -> "Measurement":
        """What stands for this one on a host and has been checked there: it answers as the device has to."""
        path = self.candidate.rounded or (self.candidate.twin if self.saturated else None)
        there = self.stand_in(self.candidate if path is None else replace(self.candidate, path=path), host)
        there.check_apart(signed=path is not None)
        return there

    @contextmanager
    def golden_of_device(self, host: Device) -> Iterator[None]:
        """Golden outputs as the device rounds: those of the export are from a machine that may round otherwise."""
        candidate = self.candidate
        if candidate.rounded is None or not candidate.golden:
            yield
            return
        with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
            there = self.stand_in(replace(candidate, tolerances=(), evaluation=None)).on_host(host)
            vectors = []
            for index, (vector, outputs) in enumerate(zip(candidate.golden, there.outputs, strict=True)):
                path = Path(folder, f"{index}.bin")
                path.write_bytes(b"".join(output.tobytes() for output in outputs))
                vectors.append(replace(vector, output=path))
            self.candidate = replace(candidate, golden=tuple(vectors))
            yield
            self.candidate = candidate

    def weigh(self) -> None:
        """Find out the worker's memory."""
        assert self.loaded is not None
        self.memory = Memory(
            bare=self.loaded.memory_bare,
            before_load=self.loaded.memory_before_load,
            after_load=self.loaded.memory_after_load,
            peak=self.ask(Weighed).peak,
        )

    def ticks_to_itself(self) -> int:
        """How many ticks of the protocol pass while it is at work, by its last burst; cold ones take longer."""
        seconds = float(np.median(self.bursts[-1].samples_ns)) / 1e9
        return math.ceil((COLD_FACTOR * seconds + COLD_SECONDS) / self.protocol.every)

    def check_answers(self) -> None:
        """Golden vectors, and how good the answers are if these agree."""
        candidate = self.candidate
        if candidate.golden:
            self.outputs = self._replay([vector.input for vector in candidate.golden])
        if candidate.golden and candidate.tolerances:
            assert self.loaded is not None
            expected = [split(vector.output.read_bytes(), self.loaded.outputs) for vector in candidate.golden]
            self.agreement = agreements(expected, self.outputs, candidate.tolerances)
            self.failure = wrong_outputs(self.agreement, "the golden ones")
            if self.failure is not None:
                return
        if candidate.evaluation is not None:
            self.quality = self._evaluate(candidate.evaluation)

    def check_apart(self, *, signed: bool = False) -> None:
        """The same in a worker that is there for nothing else."""
        with self.device.start_worker() as self.worker:
            self.open(signed=signed)
            self.check_answers()

    def entry(self, before: Environment, after: Environment) -> Entry:
        """What was found, between two states of the device."""
        if self.taken_over is not None:
            return self.taken_over
        loaded, emulated, paced, cold = self.loaded, self.device.emulated, self._paced(), self._cold()
        warm = with_summary(self.bursts)
        bursts, summary = warm["bursts"], warm["summary"]
        doubts: list[Flag] = []
        if summary is not None:
            pinned = self.cpus is not None
            doubts += flags(bursts, summary, wanted=self.protocol.runs, pinned=pinned, before=before, after=after)
        for way, timing in (("paced", paced), ("cold", cold)):
            if timing is not None:
                doubts += flags_apart(way, timing, wanted=self.protocol.ticks)
        if self.saturated and not emulated:
            doubts.append(SATURATING)
        if self.uncounted is not None:
            doubts.append(not_counted(self.uncounted))
        if self.lacking_cycles is not None:
            doubts.append(no_cycles(*self.lacking_cycles))
        return Entry(
            model=self.info,
            runtime=None if loaded is None else RuntimeInfo(**loaded.runtime.model_dump(), threads=self.threads),
            device=self.device.name,
            emulated=emulated,
            cpus=() if loaded is None else tuple(loaded.cpus),
            load_ns=None if emulated else _median(load.load_ns for load in self.loads),
            first_inference_ns=None if emulated else _median(load.first_inference_ns for load in self.loads),
            **warm,
            paced=paced,
            cold=cold,
            energy_j=self._energy(),
            memory=self.memory,
            quality=self.quality,
            agreement=self.agreement,
            counts=self.counts,
            flags=tuple(doubts),
            failure=self.failure,
        )

    def _paced(self) -> Paced | None:
        if not self.paced:
            return None
        mhz = None
        if len(self.mhz) == len(self.turns):  # every process told it
            before, at, after = np.median(self.mhz, axis=0).tolist()
            mhz = before, at, after
        every_ms = 1000 * self.protocol.every
        period_ms = every_ms * float(np.mean(self.turns))
        found = with_summary(self.paced)
        return Paced(**found, every_ms=every_ms, period_ms=period_ms, missed=self.missed, mhz=mhz)

    def _cold(self) -> Cold | None:
        return Cold(**with_summary(self.cold), flushed=self.flushed) if self.cold else None

    def _replay(self, inputs: Sequence[Path]) -> list[list[np.ndarray]]:
        """The outputs (flat) of each of several input files."""
        assert self.loaded is not None
        outputs = [f"{self.device.scratch()}/{self.number}.{index}.bin" for index in range(len(inputs))]
        for path, output in zip(inputs, outputs, strict=True):  # so that the time limit is for one
            self.ask(Replayed, inputs=[self.device.push(path)], outputs=[output])
        return [split(self._fetched(remote), self.loaded.outputs) for remote in outputs]

    def _evaluate(self, evaluation: Evaluation) -> tuple[Quality, ...]:
        loaded, samples = self.loaded, evaluation.samples
        assert loaded is not None
        reduction: Reduction = "classes" if evaluation.only_classes else "none"
        away = not isinstance(self.device, LocalDevice)  # between processes of one machine there is no wire
        if away and reduction == "none" and not evaluation.exact and _bytes_of(loaded.outputs) > LARGE:
            reduction = "half"
        pixels, remote = self.device.push(evaluation.pixels), f"{self.device.scratch()}/{self.number}.answers.bin"
        told = reduced(loaded, reduction)
        size = EMULATED_IMAGES_PER_REQUEST if self.device.emulated else IMAGES_PER_REQUEST
        size = max(1, min(size, BYTES_PER_REQUEST // max(1, _bytes_of(told))))
        meanings = (*self.candidate.outputs, *[None] * len(told))
        pieces: list[list[np.ndarray]] = []
        for start in range(0, samples, size):  # so that the time limit is for a piece, whatever DATA holds
            stop = min(start + size, samples)
            piece: dict[str, Any] = {
                "pixels": pixels,
                "mean": evaluation.mean,
                "std": evaluation.std,
                "start": start,
                "stop": stop,
            }
            self.ask(Evaluated, **piece, outputs=remote, reduction=reduction)
            values = stacked(self._fetched(remote), told, stop - start)
            if values is None:
                raise WorkerError("the worker's outputs are not of the shapes that it told of", kind="protocol")
            pieces.append(
                [
                    as_meant(each, meaning, loaded.input.layout, reduction)
                    for each, meaning in zip(values, meanings, strict=False)
                ]
            )
            if 10 * stop // samples > 10 * start // samples:  # ten times a model, however many pieces
                self.tell(f"answers of {self.info.name}: {stop:,} of {samples:,} images")
        self.answers = [np.concatenate(column) for column in zip(*pieces, strict=True)]
        return tuple(evaluation.score(self.answers))

    def _fetched(self, remote: str) -> bytes:
        """What a file on the device holds."""
        with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
            local = Path(folder, "output.bin")
            self.device.fetch(remote, local)
            return local.read_bytes()

    def _energy(self) -> float | None:
        """Joules of an inference, of all bursts together: a sensor has no time for a single one."""
        known = [joules for joules in self.joules if joules is not None]
        if not known or len(known) < len(self.joules):
            return None
        return sum(known) / sum(len(burst.samples_ns) for burst in self.bursts)


def check_files(candidate: Candidate) -> None:
    """Golden vectors and images, before time is spent on measuring."""
    for vector in candidate.golden:
        for path in (vector.input, vector.output):
            if not path.is_file():
                raise BenchInputError(f"{path}: there is no such golden vector")
    if candidate.evaluation is not None:
        path, count = candidate.evaluation.pixels, candidate.evaluation.samples
        try:
            images = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BenchInputError(f"{path}: not a .npy file of images") from error
        if images.dtype not in (np.uint8, np.float32) or images.ndim != 4 or count == 0 or len(images) != count:
            raise BenchInputError(f"{path}: {images.dtype} {images.shape} are not {count} images of uint8 or float32")


def describe(candidate: Candidate, model: PrivateModel) -> ModelInfo:
    """What results say of a candidate's file. Raises BenchInputError for what they cannot hold."""
    try:
        return ModelInfo(
            name=readable(candidate.name),
            file=readable(model.source.name),
            sha256=model.sha256,
            bytes=model.bytes,
            target=candidate.target,
            precision=candidate.precision,
            role=candidate.role,
            identity=candidate.identity,
            parent=candidate.parent,
            parameters=candidate.parameters,
            macs=candidate.macs,
            operators=candidate.operators,
            rewrites=candidate.rewrites,
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BenchInputError(f"{candidate.path}: cannot be measured: {place}: {first['msg']}") from error


def wrong_outputs(agreements: Sequence[Agreement], others: str) -> Failure | None:
    """The failure of a model of which an output is not like the `others`; None where all are."""
    found = next((each for each in agreements if not each.within_tolerance), None)
    if found is None:
        return None
    several = len(agreements) > 1 and found.output is not None
    which, verb = (f"its output {found.output}", "is") if several else ("its outputs", "are")
    if found.max_abs is None:
        message = f"{which} cannot be compared with {others}: more or fewer numbers, or some not finite"
        return Failure(kind="wrong-outputs", message=message)
    off = f"{found.max_abs:.1e}" if found.max_relative is None else f"{found.max_relative:.1e} of the largest"
    message = f"{which} {verb} up to {off} off {others}"
    if found.classes_equal is not None:
        message += f"; {found.classes_equal} of {found.vectors} classes are the same"
    return Failure(kind="wrong-outputs", message=message)


def _bytes_of(outputs: Sequence[Output]) -> int:
    return sum(math.prod(output.shape) * np.dtype(output.dtype).itemsize for output in outputs)


def _median(values: Iterable[int]) -> int | None:
    found = [*values]
    return int(np.median(found)) if found else None
