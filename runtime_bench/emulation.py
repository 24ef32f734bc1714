"""Models on an emulated device: whether they answer as on this host, and what an inference does. No time is taken."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runtime_bench.devices.device import CountingDevice, Device
from runtime_bench.errors import CannotCount
from runtime_bench.golden import GoldenVector, Tolerance, agreements
from runtime_bench.measurement import Measurement, Protocol, wrong_outputs
from runtime_bench.replies import Input
from runtime_bench.results import Counts, Failure

WARM_UP_RUNS, COUNTED_RUNS = 1, 3
# How far an emulated CPU may be off this one: it adds the same numbers in another order.
EMULATED_TOLERANCE = Tolerance(rtol=1e-5)
EXACT = Tolerance(rtol=0.0)


def protocol(asked: Protocol) -> dict[str, Any]:
    """How it is done, as results have it: what was asked of times does not matter here."""
    limits = {"timeout": asked.timeout, "memory_limit": asked.memory_limit}
    return {"threads": asked.threads, "warm_up_runs": WARM_UP_RUNS, "runs": COUNTED_RUNS} | limits


def prove(measurement: Measurement, host: Device) -> None:
    """Memory, golden vectors and quality; outputs and answers must be those of this host.

    A file without golden vectors answers noise.
    """
    with (
        tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder,
        measurement.device.start_worker() as measurement.worker,
    ):
        loaded = measurement.open()
        measurement.weigh()
        if not measurement.candidate.golden:
            measurement.candidate = replace(measurement.candidate, golden=_noise(loaded.input, Path(folder)))
        with measurement.golden_of_device(host):
            measurement.check_answers()
            if measurement.failure is not None:
                return
            here = measurement.on_host(host)
    if here.failure is not None:
        measurement.failure = here.failure.model_copy(update={"message": f"on this host, {here.failure.message}"})
    else:
        measurement.failure = _difference(measurement, here)


def count(measurement: Measurement) -> None:
    """What one inference does: the median of several by their instructions, after one that fills the caches."""
    assert isinstance(measurement.device, CountingDevice)
    try:
        counter = measurement.device.start_counter()
    except CannotCount as error:
        measurement.uncounted = str(error)
        return
    with counter as measurement.worker:
        measurement.open()
        counted = [measurement.ask(Counts) for _ in range(WARM_UP_RUNS + COUNTED_RUNS)][WARM_UP_RUNS:]
    measurement.counts = sorted(counted, key=lambda counts: counts.instructions)[COUNTED_RUNS // 2]
    measurement.lacking_cycles = measurement.device.lacks_cycles()


def _noise(source: Input, folder: Path) -> tuple[GoldenVector, ...]:
    """An input for a file that brings none; there is no output to it, and no input where integers are asked for."""
    if source.dtype != "float32":
        return ()
    path = folder / "noise.bin"
    np.random.default_rng(0).standard_normal(source.shape).astype("<f4").tofile(path)
    return (GoldenVector(path, path),)


def _difference(measurement: Measurement, here: Measurement) -> Failure | None:
    """How answers differ from those that were given here, or None."""
    candidate, count = measurement.candidate, max(map(len, [*here.outputs, here.answers]), default=0)
    tolerances = candidate.tolerances or (Tolerance(),) * count
    if candidate.precision != "int8":
        tolerances = tuple(
            each if each.differing is not None else replace(each, rtol=EMULATED_TOLERANCE.rtol, max_lsb=None)
            for each in tolerances
        )
    elif not (candidate.mixed and candidate.tolerances):
        tolerances = tuple(replace(EXACT, output=each.output) for each in tolerances)
    found = agreements(here.outputs, measurement.outputs, tolerances) if here.outputs else ()
    failure = wrong_outputs(found, "those of this host")
    if failure is not None or candidate.evaluation is None:
        return failure
    if not candidate.evaluation.only_classes:
        loose = [replace(each, classes=False) for each in tolerances]
        found = agreements([_flat(here.answers)], [_flat(measurement.answers)], loose)
        return wrong_outputs(found, "those of this host")
    (there,), (ours,) = measurement.answers, here.answers
    different = np.flatnonzero((there != ours).reshape(len(ours), -1).any(axis=1))
    if not different.size:
        return None
    many, first = f"{len(different)} of {len(ours)} images", f"image {different[0]} first"
    return Failure(kind="wrong-outputs", message=f"{many} have another class on this host, {first}")


def _flat(answers: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [values.reshape(-1) for values in answers]
