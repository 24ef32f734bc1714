"""Going on with an earlier run: what it has of a file is taken over where it was measured as it would be now."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from runtime_bench.environment import Environment
from runtime_bench.measurement import Measurement, Protocol
from runtime_bench.regression import fingerprint
from runtime_bench.results import Entry, Results, RuntimeInfo

OF_ENTRIES = ("device", "threads")  # options that each entry answers for, and the device, which is named apart


def take_over(
    measurements: Sequence[Measurement],
    earlier: Results,
    options: Mapping[str, Any],
    before: Environment,
    notice: Callable[[str], None],
) -> None:
    """Give measurements the earlier entries that say all that would be measured now; `notice` hears what differs."""
    differing = [*differences(measurements[0].device.name, earlier, options, before)]
    if differing:
        notice(f"the earlier results are of another {', '.join(differing)}: everything is measured anew")
        return
    for measurement in measurements:
        alike = [entry for entry in earlier.entries if _is_of(entry, measurement)]
        found = next((entry for entry in alike if _is_whole(entry, measurement)), None)
        if found is None:
            if alike:
                notice(f"{measurement}: the earlier results do not have all of it: it is measured anew")
            continue
        measurement.attempt(partial(_load, measurement))
        if not measurement.alive:
            continue  # which the entry will say
        differing = [*_of_the_entry(found, measurement)]
        measurement.loads.clear()
        if differing:
            notice(f"{measurement}: the earlier results have another {', '.join(differing)}: it is measured anew")
        else:
            measurement.taken_over = found


def _load(measurement: Measurement) -> None:
    """What the device has for it now, only a worker knows."""
    with measurement.device.start_worker() as measurement.worker:
        measurement.open()


def differences(device: str, earlier: Results, options: Mapping[str, Any], before: Environment) -> Iterator[str]:
    """What of an earlier run differs for all of its entries: the device, the machine, the protocol."""
    if earlier.options.get("device") != device:
        yield "device"
    if fingerprint(earlier.before) != fingerprint(before):
        yield f"machine ({fingerprint(earlier.before)})"
    now, then = _plain(options), _plain(earlier.options)
    differing = [name for name in {**then, **now} if name not in OF_ENTRIES and now.get(name) != then.get(name)]
    if differing:
        yield f"protocol ({', '.join(differing)})"


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As a results file has them."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(options)))
    return plain


def _is_of(entry: Entry, measurement: Measurement) -> bool:
    """Whether an entry is of the same file, on the same runtime with as many threads."""
    runtime = entry.runtime
    return (
        entry.model.sha256 == measurement.info.sha256
        and runtime is not None
        and (runtime.name, runtime.threads) == (measurement.candidate.runtime, measurement.threads)
    )


def _is_whole(entry: Entry, measurement: Measurement) -> bool:
    """Whether an entry has every figure that would be measured now."""
    candidate = measurement.candidate
    return (
        entry.failure is None
        and (
            entry.counts is not None or (entry.summary is not None and entry.summary.count >= measurement.protocol.runs)
        )
        and (entry.counts is not None or _is_apart(entry, measurement.protocol))
        and (bool(entry.agreement) or not candidate.golden)
        and (bool(entry.quality) or candidate.evaluation is None)
    )


def _is_apart(entry: Entry, protocol: Protocol) -> bool:
    """Whether an entry has as many samples paced and cold as the protocol asks for."""
    wanted = ((protocol.every > 0, entry.paced), (protocol.cold, entry.cold))
    return all(not asked or (found is not None and found.summary.count >= protocol.ticks) for asked, found in wanted)


def _of_the_entry(entry: Entry, measurement: Measurement) -> Iterator[str]:
    """What differs from what the worker that has the file loaded says, and from what would be asked of it."""
    loaded, evaluation = measurement.loaded, measurement.candidate.evaluation
    assert loaded is not None
    if entry.runtime != RuntimeInfo(**loaded.runtime.model_dump(), threads=measurement.threads):
        yield f"runtime ({'none' if entry.runtime is None else entry.runtime.version})"
    if entry.cpus != tuple(loaded.cpus):
        yield "CPUs"
    if evaluation is not None and entry.quality:
        if entry.quality[0].data != evaluation.data:
            yield "data set"
        if entry.quality[0].samples != evaluation.samples:
            yield "number of images"
        if tuple(each.metric for each in entry.quality) != evaluation.metrics:
            yield "metric"
