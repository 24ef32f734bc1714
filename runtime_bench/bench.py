"""Measuring several models against each other: fresh worker processes, interleaved in shuffled rounds."""

import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from runtime_bench import emulation
from runtime_bench.devices.device import Device
from runtime_bench.devices.local import LocalDevice
from runtime_bench.environment import Environment
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.files import PrivateModel, private_copy
from runtime_bench.interrupts import held, released
from runtime_bench.replies import Measured, WarmedUp
from runtime_bench.results import Burst, Failure, Results
from runtime_bench.resume import take_over
from runtime_bench.subject import FASTEST, Candidate, Evaluation, Protocol, Subject, check_files, describe

__all__ = ["Candidate", "Evaluation", "Progress", "Protocol", "bench"]
LONGEST_WARM_UP = 10.0  # seconds beyond the asked ones, for a model that does not become stable
Progress = Callable[[int, int, str], None]


def bench(
    candidates: Sequence[Candidate],
    device: Device,
    protocol: Protocol,
    *,
    probe: Candidate | None = None,
    earlier: Results | None = None,
    progress: Progress = lambda done, total, text: None,
    notice: Callable[[str], None] = lambda text: None,
) -> Results:
    """Measure every candidate and return the results; a model that fails is an entry with its reason.

    While one worker measures, the others and this process sleep. Accuracy and golden vectors come after the timing:
    on a device that misses the golden outputs of `probe`, those of a candidate with a twin are the twin's. What
    `earlier` results have in whole of a file, measured in the same way, is taken over; `notice` hears what differs. On
    an emulated device no time is taken: its answers are compared with this host's, and what one inference does is
    counted. A file that is changed meanwhile fails; what was measured is a copy that nobody else has.
    Ctrl-C ends the measurement and keeps what there is. Raises BenchInputError for a file that is missing, or CPUs that
    the device does not have, before anything is measured. The device stays open.
    """
    if not candidates:
        raise BenchInputError("nothing to measure: no exported file that a runtime can load")
    for candidate in candidates:
        check_files(candidate)
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        before = device.environment()
        subjects = _subjects(candidates, device, protocol, before.cores, Path(folder))
        for runtime in {candidate.runtime for candidate in candidates}:
            lacking = device.lacks(runtime)
            for subject in subjects:
                if lacking is not None and subject.candidate.runtime == runtime:
                    subject.failure = Failure(kind="missing-runtime", message=lacking)
        options = emulation.protocol(protocol) if device.emulated else asdict(protocol)
        if earlier is not None:
            take_over(subjects, earlier, options, before, notice)
        return _measured(subjects, device, protocol, options, before, probe, progress)


def _measured(
    subjects: Sequence[Subject],
    device: Device,
    protocol: Protocol,
    options: Mapping[str, Any],
    before: Environment,
    probe: Candidate | None,
    progress: Progress,
) -> Results:
    """What is found of subjects, until Ctrl-C."""
    interrupted = False
    several = protocol.processes * (protocol.rounds + 1) + 1
    step = _Steps(progress, len(subjects) * (2 if device.emulated else several))
    for subject in subjects:
        subject.tell = step.still
    host = device if isinstance(device, LocalDevice) and not device.emulated else LocalDevice()
    with held():  # what was measured is put together whatever comes
        try:
            with released():
                if probe is not None and any(subject.candidate.twin is not None for subject in subjects):
                    computes = host if device.emulated else device
                    saturates = _saturates(computes, protocol, probe, subjects[0].cpus)
                    for subject in subjects:
                        subject.saturated = saturates and subject.candidate.twin is not None
                if device.emulated:
                    _emulate(subjects, host, step)
                else:
                    _time(subjects, device, host, protocol, step)
                step.done("measured")
        except KeyboardInterrupt:
            interrupted = True
        if host is not device:
            host.close()
        after = _environment_after(device, before)
        entries = tuple(subject.entry(before, after) for subject in subjects)
    return Results(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        options=dict(options) | {"device": device.name},
        before=before,
        after=after,
        interrupted=interrupted,
        entries=entries,
    )


def _time(subjects: Sequence[Subject], device: Device, host: Device, protocol: Protocol, step: "_Steps") -> None:
    """Every model in several processes, side by side where the device can, else one process after the other."""
    order = random.Random(protocol.seed)
    for process in range(protocol.processes):
        shuffled = order.sample(subjects, len(subjects))
        for batch in [subjects] if device.side_by_side else [[subject] for subject in shuffled]:
            with ExitStack() as workers:
                for subject in batch:
                    step(f"loading {subject}")
                    subject.attempt(partial(_load, subject, workers))
                for number in range(protocol.rounds):
                    for subject in order.sample(batch, len(batch)):
                        done, rounds = process * protocol.rounds + number + 1, protocol.processes * protocol.rounds
                        step(f"measuring, round {done} of {rounds}")
                        subject.attempt(partial(_measure, subject, process, number))
                if process + 1 == protocol.processes:
                    for subject in batch:
                        step(f"checking {subject}")
                        subject.attempt(partial(_check, subject, host))


def _emulate(subjects: Sequence[Subject], host: Device, step: "_Steps") -> None:
    for subject in subjects:
        step(f"checking {subject}")
        subject.attempt(partial(emulation.prove, subject, host))
        step(f"counting {subject}")
        subject.attempt(partial(emulation.count, subject))


def _load(subject: Subject, workers: ExitStack) -> None:
    """Start a worker, load and warm up, and find out how many runs make a burst."""
    protocol = subject.protocol
    subject.worker = workers.enter_context(subject.device.start_worker())
    subject.open()
    until = protocol.warm_up_seconds + LONGEST_WARM_UP if protocol.warm_up_seconds else None
    subject.ask(WarmedUp, runs=protocol.warm_up_runs, seconds=protocol.warm_up_seconds, until=until)
    sample = float(np.median(subject.ask(Measured, runs=5).samples_ns)) / 1e9
    wanted = max(protocol.runs, math.ceil(protocol.seconds / max(sample, 1e-9)))
    subject.burst_runs = math.ceil(wanted / (protocol.processes * protocol.rounds))


def _measure(subject: Subject, process: int, number: int) -> None:
    """One burst. The first two runs after another model had the caches are warm-up again."""
    subject.ask(WarmedUp, runs=2, seconds=0)
    burst = subject.ask(Measured, runs=subject.burst_runs)
    subject.bursts.append(Burst(process=process, round=number, samples_ns=tuple(burst.samples_ns)))
    subject.joules.append(burst.energy_j)


def _check(subject: Subject, host: Device) -> None:
    """Memory, golden vectors and accuracy."""
    if subject.model is not None:
        subject.model.check()
    subject.weigh()
    if not subject.saturated:
        with subject.golden_of_device(host):
            subject.check_answers()
        return
    twin = subject.on_host(subject.device)
    subject.agreement, subject.accuracy, subject.failure = twin.agreement, twin.accuracy, twin.failure


def _saturates(device: Device, protocol: Protocol, probe: Candidate, cpus: tuple[int, ...] | None) -> bool:
    """Whether the device answers the probe wrongly. One that cannot answer it is not accused."""
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        info = describe(probe, private_copy(probe.path, Path(folder)))
    subject = Subject(probe, info, device, protocol, -1, 1, cpus)
    subject.attempt(subject.check_apart)
    return subject.agreement is not None and not subject.agreement.within_tolerance


def _environment_after(device: Device, before: Environment) -> Environment:
    """The device's state now, or as it was where it cannot be asked any more: what was measured is kept."""
    try:
        return device.environment()
    except DeviceError:
        return before


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


def _subjects(
    candidates: Sequence[Candidate], device: Device, protocol: Protocol, cores: int, folder: Path
) -> list[Subject]:
    """Every candidate, copied to a folder, with every number of threads.

    Raises BenchInputError for CPUs that the device does not have.
    """
    if device.emulated and protocol.threads != (1,):
        raise BenchInputError(f"{device.name} is emulated, with one thread: leave --threads out")
    subjects: list[Subject] = []
    copies: dict[Path, PrivateModel] = {}
    for candidate in candidates:
        if candidate.path not in copies:
            place = folder / str(len(copies))
            place.mkdir()
            copies[candidate.path] = private_copy(candidate.path, place)
        model = copies[candidate.path]
        info, copied = describe(candidate, model), replace(candidate, path=model.path)
        for threads in protocol.threads:
            cpus = device.fastest_cpus(threads) if protocol.cpus == FASTEST else protocol.cpus
            missing = [cpu for cpu in cpus or () if cpu >= cores]
            if missing:
                raise BenchInputError(f"there is no CPU {missing[0]}; {device.name} has CPUs 0 to {cores - 1}")
            subject = Subject(copied, info, device, protocol, len(subjects), threads, cpus, model=model)
            subjects.append(subject)
    return subjects
