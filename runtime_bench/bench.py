"""Measuring several models against each other: fresh worker processes, interleaved in shuffled rounds."""

import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from runtime_bench import emulation
from runtime_bench.devices.device import Device
from runtime_bench.devices.local import LocalDevice
from runtime_bench.environment import Environment
from runtime_bench.errors import BenchInputError, DeviceError, WorkerError
from runtime_bench.files import PrivateModel, private_copy
from runtime_bench.interrupts import at_once, held, released
from runtime_bench.measurement import FASTEST, Candidate, Evaluation, Measurement, Protocol, check_files, describe
from runtime_bench.replies import Measured, WarmedUp
from runtime_bench.results import Burst, Failure, Results
from runtime_bench.resume import take_over
from runtime_bench.worker import CLOCK_TICKS

__all__ = ["Candidate", "Evaluation", "Progress", "Protocol", "bench"]
LONGEST_WARM_UP = 10.0  # seconds beyond the asked ones, for a model that does not become stable
OLDER = "it is an older one; update it, or measure without"
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

    While one worker measures, the others and this process sleep. First back to back, then paced and cold where the
    protocol has that. Golden vectors and quality come after the timing:
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
        measurements = _measurements(candidates, device, protocol, before.cores, Path(folder))
        for runtime in {candidate.runtime for candidate in candidates}:
            lacking = device.lacks(runtime)
            for measurement in measurements:
                if lacking is not None and measurement.candidate.runtime == runtime:
                    measurement.failure = Failure(kind="missing-runtime", message=lacking)
        options = emulation.protocol(protocol) if device.emulated else asdict(protocol)
        if device.runner_name is not None:
            options["runner"] = device.runner_name
        if earlier is not None:
            take_over(measurements, earlier, options, before, notice)
        return _measured(measurements, device, protocol, options, before, probe, progress)


def _measured(
    measurements: Sequence[Measurement],
    device: Device,
    protocol: Protocol,
    options: Mapping[str, Any],
    before: Environment,
    probe: Candidate | None,
    progress: Progress,
) -> Results:
    """What is found of measurements, until Ctrl-C."""
    interrupted = False
    apart = (protocol.every > 0) + protocol.cold * protocol.rounds
    several = protocol.processes * (protocol.rounds + 1 + apart) + 1
    step = _Steps(progress, len(measurements) * (2 if device.emulated else several))
    for measurement in measurements:
        measurement.tell = step.still
    host = device if isinstance(device, LocalDevice) and not device.emulated else LocalDevice()
    with held():  # what was measured is put together whatever comes
        try:
            with released():
                if probe is not None and any(measurement.candidate.twin is not None for measurement in measurements):
                    computes = host if device.emulated else device
                    saturates = _saturates(computes, protocol, probe, measurements[0].cpus)
                    for measurement in measurements:
                        measurement.saturated = saturates and measurement.candidate.twin is not None
                if device.emulated:
                    _emulate(measurements, host, step)
                else:
                    _time(measurements, device, host, protocol, step)
                step.done("measured")
        except KeyboardInterrupt:
            interrupted = True
        if host is not device:
            host.close()
        after = _environment_after(device, before)
        entries = tuple(measurement.entry(before, after) for measurement in measurements)
    return Results(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        options=dict(options) | {"device": device.name},
        before=before,
        after=after,
        interrupted=interrupted,
        entries=entries,
    )


def _time(
    measurements: Sequence[Measurement], device: Device, host: Device, protocol: Protocol, step: "_Steps"
) -> None:
    """Every model in several processes, side by side where the device can, else one process after the other."""
    order = random.Random(protocol.seed)
    for process in range(protocol.processes):
        shuffled = order.sample(measurements, len(measurements))
        for batch in [measurements] if device.side_by_side else [[measurement] for measurement in shuffled]:
            with ExitStack() as workers:
                for measurement in batch:
                    step(f"loading {measurement}")
                    measurement.attempt(partial(_load, measurement, workers))
                for number in range(protocol.rounds):
                    for measurement in order.sample(batch, len(batch)):
                        done, rounds = process * protocol.rounds + number + 1, protocol.processes * protocol.rounds
                        step(f"measuring, round {done} of {rounds}")
                        measurement.attempt(partial(_measure, measurement, process, number))
                last = process + 1 == protocol.processes
                if last:
                    for measurement in batch:
                        measurement.attempt(measurement.weigh)  # before there is a buffer to empty caches with
                if protocol.every > 0:
                    for _ in batch:
                        step(f"pacing, process {process + 1} of {protocol.processes}")
                    _pace(order.sample(batch, len(batch)), process)
                for number in range(protocol.rounds if protocol.cold else 0):
                    for measurement in order.sample(batch, len(batch)):
                        step(f"measuring cold, process {process + 1} of {protocol.processes}")
                        measurement.attempt(partial(_measure_cold, measurement, process, number))
                if last:
                    for measurement in batch:
                        step(f"checking {measurement}")
                        measurement.attempt(partial(_check, measurement, host))


def _emulate(measurements: Sequence[Measurement], host: Device, step: "_Steps") -> None:
    for measurement in measurements:
        step(f"checking {measurement}")
        measurement.attempt(partial(emulation.prove, measurement, host))
        step(f"counting {measurement}")
        measurement.attempt(partial(emulation.count, measurement))


def _load(measurement: Measurement, workers: ExitStack) -> None:
    """Start a worker, load and warm up, and find out how many runs make a burst."""
    protocol = measurement.protocol
    measurement.worker = workers.enter_context(measurement.device.start_worker())
    measurement.open()
    until = protocol.warm_up_seconds + LONGEST_WARM_UP if protocol.warm_up_seconds else None
    measurement.ask(WarmedUp, runs=protocol.warm_up_runs, seconds=protocol.warm_up_seconds, until=until)
    sample = float(np.median(measurement.ask(Measured, runs=5).samples_ns)) / 1e9
    wanted = max(protocol.runs, math.ceil(protocol.seconds / max(sample, 1e-9)))
    measurement.burst_runs = math.ceil(wanted / (protocol.processes * protocol.rounds))


def _measure(measurement: Measurement, process: int, number: int) -> None:
    """One burst. The first two runs after another model had the caches are warm-up again."""
    measurement.ask(WarmedUp, runs=2, seconds=0)
    burst = measurement.ask(Measured, runs=measurement.burst_runs)
    measurement.bursts.append(Burst(process=process, round=number, samples_ns=tuple(burst.samples_ns)))
    measurement.joules.append(burst.energy_j)


def _pace(batch: Sequence[Measurement], process: int) -> None:
    """Models in turns by tick. One that takes longer has more ticks to itself, so that no other meets it at work."""
    alive = [measurement for measurement in batch if measurement.alive]
    lengths = [measurement.ticks_to_itself() for measurement in alive] if len(alive) > 1 else [1] * len(alive)
    turns = list(accumulate(lengths, initial=0))
    at_once(
        [
            partial(measurement.attempt, partial(_measure_paced, measurement, process, turn, turns[-1]))
            for measurement, turn in zip(alive, turns, strict=False)
        ]
    )


def _measure_paced(measurement: Measurement, process: int, turn: int, turns: int) -> None:
    """Every `turns` ticks one inference, at the tick `turn`."""
    protocol = measurement.protocol
    runs = math.ceil(protocol.ticks / protocol.processes)
    found = measurement.ask(
        Measured,
        sleeping=(runs + CLOCK_TICKS + 2) * turns * protocol.every,
        runs=runs,
        every_ms=1000 * protocol.every,
        turn=turn,
        turns=turns,
    )
    if found.missed is None:
        raise WorkerError(f"the worker has not paced its inferences: {OLDER} (`every` 0)", kind="contract")
    for number, samples in enumerate(np.array_split(found.samples_ns, min(protocol.rounds, runs))):
        measurement.paced.append(Burst(process=process, round=number, samples_ns=tuple(samples.tolist())))
    measurement.missed += found.missed
    measurement.turns.append(turns)
    if found.mhz is not None:
        measurement.mhz.append(found.mhz)


def _measure_cold(measurement: Measurement, process: int, number: int) -> None:
    """Inferences with emptied caches."""
    protocol = measurement.protocol
    runs = math.ceil(protocol.ticks / (protocol.processes * protocol.rounds))
    found = measurement.ask(Measured, runs=runs, cold=True)
    if found.flushed is None:
        raise WorkerError(f"the worker has not emptied its caches: {OLDER} (`cold`)", kind="contract")
    measurement.cold.append(Burst(process=process, round=number, samples_ns=tuple(found.samples_ns)))
    measurement.flushed = found.flushed


def _check(measurement: Measurement, host: Device) -> None:
    """Golden vectors and quality."""
    if measurement.model is not None:
        measurement.model.check()
    if not measurement.saturated:
        with measurement.golden_of_device(host):
            measurement.check_answers()
        return
    twin = measurement.on_host(measurement.device)
    measurement.agreement, measurement.quality, measurement.failure = twin.agreement, twin.quality, twin.failure


def _saturates(device: Device, protocol: Protocol, probe: Candidate, cpus: tuple[int, ...] | None) -> bool:
    """Whether the device answers the probe wrongly. One that cannot answer it is not accused."""
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        info = describe(probe, private_copy(probe.path, Path(folder)))
    measurement = Measurement(probe, info, device, protocol, -1, 1, cpus)
    measurement.attempt(measurement.check_apart)
    return not all(each.within_tolerance for each in measurement.agreement)


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


def _measurements(
    candidates: Sequence[Candidate], device: Device, protocol: Protocol, cores: int, folder: Path
) -> list[Measurement]:
    """Every candidate, copied to a folder, with every number of threads.

    Raises BenchInputError for CPUs that the device does not have.
    """
    if device.emulated and protocol.threads != (1,):
        raise BenchInputError(f"{device.name} is emulated, with one thread: leave `threads` out")
    measurements: list[Measurement] = []
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
            measurement = Measurement(copied, info, device, protocol, len(measurements), threads, cpus, model=model)
            measurements.append(measurement)
    return measurements
