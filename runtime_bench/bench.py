"""Measuring several models against each other: fresh worker processes, interleaved in shuffled rounds."""

import math
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import numpy as np

from runtime_bench import emulation
from runtime_bench.devices.device import Device
from runtime_bench.devices.local import LocalDevice
from runtime_bench.environment import Environment
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.replies import Measured, WarmedUp
from runtime_bench.results import Burst, Entry, Failure, Results
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
        check_files(candidate)
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
    several = protocol.processes * (protocol.rounds + 1) + 1
    step = _Steps(progress, len(subjects) * (2 if device.emulated else several))
    for subject in subjects:
        subject.tell = step.still
    host = device if isinstance(device, LocalDevice) and not device.emulated else LocalDevice()
    with ExitStack() as stack:
        stack.callback(device.close)
        stack.callback(host.close)
        try:
            if probe is not None and any(subject.candidate.twin is not None for subject in subjects):
                computes = host if device.emulated else device
                saturates = _saturates(computes, protocol, probe, subjects[0].cpus)
                for subject in subjects:
                    subject.saturated = saturates and subject.candidate.twin is not None
            if device.emulated:
                _emulate(subjects, host, step)
            else:
                _time(subjects, device, host, protocol, step)
        except KeyboardInterrupt:
            interrupted = True
        after = _environment_after(device, before)
        entries = tuple(subject.entry(before, after) for subject in subjects)
    step.done("measured")
    return Results(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        options=(emulation.protocol(protocol) if device.emulated else asdict(protocol)) | {"device": device.name},
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
    subject.weigh()
    if not subject.saturated:
        with subject.golden_of_device(host):
            subject.check_answers()
        return
    twin = subject.on_host(subject.device)
    subject.agreement, subject.accuracy, subject.failure = twin.agreement, twin.accuracy, twin.failure


def _saturates(device: Device, protocol: Protocol, probe: Candidate, cpus: tuple[int, ...] | None) -> bool:
    """Whether the device answers the probe wrongly. One that cannot answer it is not accused."""
    subject = Subject(probe, describe(probe), device, protocol, -1, 1, cpus)
    subject.attempt(subject.check_apart)
    return subject.agreement is not None and not subject.agreement.within_tolerance


def _environment_after(device: Device, before: Environment) -> Environment:
    """The device's state now, or as it was where it cannot be asked any more: what was measured is kept."""
    try:
        return device.environment()
    except DeviceError:
        return before


def _is_whole(entry: Entry, subject: Subject, protocol: Protocol) -> bool:
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


def _subjects(candidates: Sequence[Candidate], device: Device, protocol: Protocol, cores: int) -> list[Subject]:
    """Every candidate with every number of threads. Raises BenchInputError for CPUs that the device does not have."""
    if device.emulated and protocol.threads != (1,):
        raise BenchInputError(f"{device.name} is emulated, with one thread: leave --threads out")
    subjects: list[Subject] = []
    for candidate in candidates:
        info = describe(candidate)
        for threads in protocol.threads:
            cpus = device.fastest_cpus(threads) if protocol.cpus == FASTEST else protocol.cpus
            missing = [cpu for cpu in cpus or () if cpu >= cores]
            if missing:
                raise BenchInputError(f"there is no CPU {missing[0]}; {device.name} has CPUs 0 to {cores - 1}")
            subjects.append(Subject(candidate, info, device, protocol, len(subjects), threads, cpus))
    return subjects
