"""Where an inference's time goes, layer by layer.

ONNX Runtime tells the time of every node that it runs. LiteRT's Python interpreter tells none: there it is the
difference between a model that ends with an operator and one that ends before it. In both, a layer is what the runtime
executed as one: operators whose times cannot be told apart are one layer, never several invented ones. On an emulated
device instructions stand for time, of both runtimes by models that end earlier.
"""

import random
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq, isotonic_regression
from scipy.stats import ttest_1samp

from runtime_bench.bench import Progress
from runtime_bench.devices.device import CountingDevice, Device
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.files import private_copy
from runtime_bench.interrupts import held, released
from runtime_bench.measurement import FASTEST, Candidate, Measurement, Protocol, describe
from runtime_bench.replies import Copied, Invoked, Measured, Profiled, Ran, WarmedUp
from runtime_bench.results import Call, Counts, Entry, Layer, LayerCounts, ModelInfo, Peaks, Profile, Results
from runtime_bench.validity import not_profiled

PROFILED_RUNS = 200  # of ONNX Runtime, whose clock tells whole microseconds
PREFIX_ROUNDS = 7
PREFIX_NANOSECONDS = 5_000_000  # of samples of a prefix in a round, at least
PREFIX_RUNS = 5  # or so many samples, whichever is more
# Of a model and an empty one, back to back and apart; more turns where more ticks are asked.
TURNS, WARM_RUNS, APART_RUNS, CALL_EVERY = 4, 25, 12, 2
# Back to back an inference is its operators and its call. What ONNX Runtime tells of the operators is more than that
# by 0.50, 0.51, 0.51 and 0.53 of what it takes longer to be profiled (VGG8 and VGG19, rank 1, in fp32 and int8).
WITHIN = 0.5
APART_ROUNDS = 4  # of prefixes paced or with emptied caches, which takes its time
COPIED_BYTES, COPIES = 64 * 1024**2, 8
# What ONNX Runtime adds to the names of nodes that it fuses or lays out anew.
RENAMED = re.compile(r"^fused |_nchwc$|_token_\d+$")


@dataclass(frozen=True)
class Node:
    """An operator of a model file. bytes_each: of one number; elements: of each tensor that it reads, and it writes."""

    name: str
    kind: str
    reads: Mapping[str, int]
    writes: tuple[str, ...]
    elements: int
    parameters: int
    macs: int
    shape: tuple[int, ...]
    dtype: str
    bytes_each: int
    form: str | None = None
    channels: tuple[int, int] | None = None
    idle_lanes: float = 0.0
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """The operators of a model file in order, and what writes models that end with certain tensors into a folder."""

    nodes: tuple[Node, ...]
    prefixes: Callable[[Path, Sequence[str]], Iterator[Path]] | None = None


def add_profiles(
    results: Results,
    candidates: Sequence[Candidate],
    graphs: Mapping[Path, Graph],
    device: Device,
    protocol: Protocol,
    peak_models: Sequence[Candidate],
    empty_models: Sequence[Candidate] = (),
    *,
    progress: Progress = lambda done, total, text: None,
) -> Results:
    """Results of `bench` with a profile in every entry whose file has a graph, and the device's peaks.

    peak_models: large convolutions; empty_models: of every runtime one of next to nothing, which shows what a
    call costs. An entry whose profile fails stays without one, with a flag that says why. Ctrl-C keeps what there is.
    The device stays open.
    """
    measurements = [(candidate, threads) for candidate in candidates for threads in protocol.threads]
    entries, peaks, interrupted = list(results.entries), None, results.interrupted
    with held():  # what was measured stays, whatever comes
        try:
            with released():
                peaks = None if device.emulated else _peaks(device, protocol, peak_models)
                empty = {model.runtime: model for model in empty_models}
                for number, (candidate, threads) in enumerate(measurements):
                    progress(number, len(measurements), f"profiling {candidate.name} ({candidate.runtime})")
                    graph = graphs.get(candidate.path)
                    if graph is not None:
                        entries[number] = _with_profile(
                            entries[number], graph, candidate, empty.get(candidate.runtime), device, protocol, threads
                        )
                progress(len(measurements), len(measurements), "profiled")
        except KeyboardInterrupt:
            interrupted = True
    return results.model_copy(update={"entries": tuple(entries), "peaks": peaks, "interrupted": interrupted})


def _with_profile(
    entry: Entry,
    graph: Graph,
    candidate: Candidate,
    empty: Candidate | None,
    device: Device,
    protocol: Protocol,
    threads: int,
) -> Entry:
    """An entry with its profile, if it was measured; what is in the way of that is a flag."""
    if entry.summary is None and entry.counts is None:
        return entry
    try:
        with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
            model = private_copy(candidate.path, Path(folder))
            if model.sha256 != entry.model.sha256:
                raise DeviceError(f"{candidate.path}: changed since it was measured")
            measurement = _measurement(replace(candidate, path=model.path), entry.model, device, protocol, threads)
            if device.emulated:
                profile = _counted(measurement, graph, entry)
            else:
                profile = _timed(measurement, graph, entry, empty)
        return entry.model_copy(update={"profile": profile})
    except (DeviceError, BenchInputError) as error:
        return entry.model_copy(update={"flags": (*entry.flags, not_profiled(str(error)))})


def _peaks(device: Device, protocol: Protocol, models: Sequence[Candidate]) -> Peaks | None:
    """The most MACs in a second over the models of each precision, and the bytes that a copy reads and writes."""
    fastest: dict[str, float] = {}
    copied = 0.0
    for model in models:
        with suppress(DeviceError), _warmed_up(model, device, protocol) as measurement:
            samples = measurement.ask(Measured, runs=50).samples_ns
            assert model.macs is not None
            fastest[model.precision] = max(fastest.get(model.precision, 0.0), 1e9 * model.macs / min(samples))
            copy = measurement.ask(Copied, size=COPIED_BYTES, times=COPIES)
            copied = max(copied, 2e9 * COPIED_BYTES / copy.ns)
    return Peaks(macs_per_second=fastest, bytes_per_second=copied) if copied else None


@contextmanager
def _warmed_up(model: Candidate, device: Device, protocol: Protocol) -> Iterator[Measurement]:
    """A model of ours, loaded by a worker of its own and warmed up."""
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder, device.start_worker() as worker:
        info = describe(model, private_copy(model.path, Path(folder)))
        measurement = _measurement(model, info, device, protocol, protocol.threads[0])
        measurement.worker = worker
        measurement.open()
        measurement.ask(WarmedUp, runs=5, seconds=0.2)
        yield measurement


def _apart(protocol: Protocol) -> dict[str, Any]:
    """What a request says of inferences measured apart: cold, or else paced; nothing where neither is asked."""
    if protocol.cold:
        return {"cold": True}
    return {"every_ms": 1000 * protocol.every} if protocol.every else {}


@dataclass(frozen=True)
class _Times:
    """Nanoseconds of an inference: as a whole, and within its operators; told: what the runtime says of these."""

    whole: float
    inside: float
    told: Profiled

    @property
    def call(self) -> float:
        """What is not within the operators."""
        return max(0.0, self.whole - self.inside)


def _timed_both(measurement: Measurement, way: Mapping[str, Any], runs: int) -> _Times:
    """An inference of the model that is loaded; its operators by the runtime's own profile, or by it without the call.

    Of what it takes longer to be profiled a half is taken off its operators: see WITHIN.
    """
    whole = _median(measurement.ask(Measured, runs=runs, **way).samples_ns)
    told = measurement.ask(Profiled, runs=runs, folder=measurement.device.scratch(), **way)
    if told.nodes is None:
        return _Times(whole, _median(measurement.ask(Invoked, runs=runs, **way).samples_ns), told)
    profiled = max(whole, _median(told.samples_ns or [whole]))
    return _Times(whole, max(0.0, sum(map(_nanoseconds, told.nodes)) - WITHIN * (profiled - whole)), told)


def _median(samples: Sequence[float]) -> float:
    return float(np.median(samples))


def _middle(rounds: Sequence[_Times]) -> _Times:
    """What rounds of one model found, and all samples of the operators."""
    told = rounds[0].told
    if told.nodes is not None:
        samples = [{row.name: row.us for row in each.told.nodes or ()} for each in rounds]
        nodes = [
            row.model_copy(update={"us": [us for each in samples for us in each.get(row.name, ())]})
            for row in told.nodes
        ]
        told = told.model_copy(update={"nodes": nodes})
    return _Times(_median([each.whole for each in rounds]), _median([each.inside for each in rounds]), told)


@dataclass(frozen=True)
class _Apart:
    """A model back to back and apart, in rounds that take turns.

    longer: the middle of what the rounds differ by, or 0 where they may as well not (one-sided t-test, 5%). call: of
    the empty model, which took its turns between them, where there is one.
    """

    warm: _Times
    apart: _Times
    longer: float
    call: Call | None


def _compared(measurement: Measurement, way: Mapping[str, Any], empty: Candidate | None) -> _Apart:
    """The model that is loaded, and what a call costs by a worker of its own: alike in the moods of the machine."""
    device, protocol = measurement.device, measurement.protocol
    rounds: list[tuple[_Times, _Times]] = []
    calls: list[tuple[float, float]] = []
    with nullcontext() if empty is None else _warmed_up(empty, device, protocol) as beside:
        for turn in range(max(TURNS, protocol.ticks // APART_RUNS)):
            rounds.append((_timed_both(measurement, {}, WARM_RUNS), _timed_both(measurement, way, APART_RUNS)))
            if beside is not None and turn % CALL_EVERY == 0:
                one, other = _timed_both(beside, {}, WARM_RUNS), _timed_both(beside, way, APART_RUNS)
                calls.append((one.call, other.call))
    warm, apart = _middle([one for one, _ in rounds]), _middle([other for _, other in rounds])
    longer = max(0.0, _median([other.inside - one.inside for one, other in rounds]))
    return _Apart(
        warm=warm,
        apart=replace(apart, inside=warm.inside + longer),
        longer=_longer([other.whole - one.whole for one, other in rounds]),
        call=Call(ns=_median([ns for ns, _ in calls]), cold_ns=_median([ns for _, ns in calls])) if calls else None,
    )


def _measurement(
    candidate: Candidate, info: ModelInfo, device: Device, protocol: Protocol, threads: int
) -> Measurement:
    cpus = device.fastest_cpus(threads) if protocol.cpus == FASTEST else protocol.cpus
    return Measurement(candidate, info, device, protocol, 0, threads, cpus)


def _timed(measurement: Measurement, graph: Graph, entry: Entry, empty: Candidate | None) -> Profile | None:
    """The layers, and what of the entry's median is in none of them; None if nothing tells."""
    assert entry.summary is not None
    median, way = entry.summary.p50_ns, _apart(measurement.protocol)
    with measurement.device.start_worker() as measurement.worker:
        measurement.open()
        measurement.ask(WarmedUp, runs=5, seconds=0.2)
        told = measurement.ask(Profiled, runs=PROFILED_RUNS, folder=measurement.device.scratch())
        found = None
        if way and (entry.paced is not None or entry.cold is not None):
            with suppress(DeviceError):  # what is known stays
                found = _compared(measurement, way, empty)
        if told.nodes is not None:
            layers = layers_of_runtime(told.nodes, graph.nodes)
            profile = _profile("runtime", layers, median)
            if found is None:
                return profile
            warm, cold = (_lessened_layers(each, graph) for each in (found.warm, found.apart))
            known = warm.keys() & cold.keys()
            longer = [cold[one.output] - warm[one.output] if one.output in known else None for one in layers]
            return _with_cold(profile, longer, found, way)
        if graph.prefixes is None:
            return None
        upto = _prefix_times(measurement, graph)
        layers = layers_of_prefixes(upto, graph.nodes, set(told.delegated or ()))
        profile = _profile("prefixes", layers, median)
        if found is not None:
            with suppress(DeviceError):
                more = _prefix_times(measurement, graph, way) - np.median(upto, axis=0)
                total = found.apart.inside - found.warm.inside
                return _with_cold(profile, _at_ends(more, total, layers, graph), found, way)
        return profile


def _longer(differences: Sequence[float]) -> float:
    certain = ttest_1samp(differences, 0.0, alternative="greater").pvalue < 0.05
    return _median(differences) if certain else 0.0


def _lessened_layers(times: _Times, graph: Graph) -> dict[str, float]:
    """Nanoseconds of layers by what they write, together no more than what was found to be within them."""
    layers, _ = _lessened(layers_of_runtime(times.told.nodes or (), graph.nodes), times.inside)
    return {layer.output: layer.cost for layer in layers}


def _at_ends(more: np.ndarray, total: float, layers: Sequence[Layer], graph: Graph) -> list[float]:
    """What each layer takes longer, together `total`, by what models that end with a node do (rounds, nodes).

    No layer takes less than back to back: isotonic regression (Barlow and others, 1972).
    """
    places = {node.writes[0]: place for place, node in enumerate(graph.nodes)}
    upto = isotonic_regression(np.median(more, axis=0)).x[[places[layer.output] for layer in layers]]
    took = np.maximum(np.diff(upto, prepend=0.0), 0.0)
    weights = took if took.sum() > 0 else np.ones(len(took))
    return (weights * (total / weights.sum())).tolist()


def _with_cold(profile: Profile, longer: Sequence[float | None], found: _Apart, way: Mapping[str, Any]) -> Profile:
    """A profile whose layers take so much longer apart, where that is known."""
    layers = tuple(
        layer.model_copy(update={"cold_ns": None if more is None else max(0.0, layer.cost + more)})
        for layer, more in zip(profile.layers, longer, strict=True)
    )
    return profile.model_copy(
        update={
            "layers": layers,
            "apart": "cold" if "cold" in way else "paced",
            "longer_ns": found.longer,
            "call": found.call,
        }
    )


def _prefix_times(measurement: Measurement, graph: Graph, way: Mapping[str, Any] | None = None) -> np.ndarray:
    """Nanoseconds (rounds, prefixes): the median of each prefix in each round, in shuffled order."""
    assert graph.prefixes is not None
    order = random.Random(measurement.protocol.seed)
    rounds = APART_ROUNDS if way else PREFIX_ROUNDS
    with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        paths = list(graph.prefixes(Path(folder), [node.writes[0] for node in graph.nodes]))
        times = np.zeros((rounds, len(paths)))
        for one_round in times:
            for number in order.sample(range(len(paths)), len(paths)):
                measurement.candidate = replace(measurement.candidate, path=paths[number])
                measurement.open()
                first = min(measurement.ask(Invoked, runs=3).samples_ns)
                runs = PREFIX_RUNS if way else max(PREFIX_RUNS, PREFIX_NANOSECONDS // first)
                one_round[number] = _median(measurement.ask(Invoked, runs=runs, **(way or {})).samples_ns)
    return times


def _counted(measurement: Measurement, graph: Graph, entry: Entry) -> Profile | None:
    """Layers with their instructions: the difference that each makes to a model that ends with it."""
    if graph.prefixes is None:
        return None
    assert isinstance(measurement.device, CountingDevice)
    assert entry.counts is not None
    with measurement.device.start_worker() as measurement.worker:
        measurement.open()
        told = measurement.ask(Profiled, runs=1, folder=measurement.device.scratch())
    layers = layers_in_order(told.nodes, graph.nodes) if told.nodes is not None else single_layers(graph.nodes)
    found: list[Layer] = []
    before: LayerCounts | None = None
    with (
        measurement.device.start_counter() as measurement.worker,
        tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder,
    ):
        paths = graph.prefixes(Path(folder), [layer.output for layer in layers])
        for layer, path in zip(layers, paths, strict=True):
            measurement.candidate = replace(measurement.candidate, path=path)
            measurement.open()
            upto = _short(measurement.ask(Counts))
            found.append(layer.model_copy(update={"counts": upto if before is None else _less(upto, before)}))
            before = upto
    assert before is not None
    rest = entry.counts.instructions - before.instructions
    return Profile(method="prefixes", layers=tuple(found), remainder_instructions=rest)


def _profile(method: Literal["runtime", "prefixes"], layers: Sequence[Layer], median_ns: float) -> Profile:
    """Layers that take no longer than the whole: being profiled takes its time, which is alike for every node."""
    left, overhead = _lessened(layers, median_ns)
    rest = median_ns - sum(layer.cost for layer in left)
    return Profile(method=method, layers=tuple(left), remainder_ns=max(0.0, rest), overhead_ns=overhead)


def _lessened(layers: Sequence[Layer], total: float) -> tuple[list[Layer], float]:
    """Layers that take no longer than so many nanoseconds together, and what was taken off each of them for that."""
    times = np.array([layer.cost for layer in layers])

    def excess(overhead: float) -> float:
        return float(np.maximum(times - overhead, 0.0).sum()) - total

    overhead = brentq(excess, 0.0, times.max()) if excess(0.0) > 0 else 0.0
    return [layer.model_copy(update={"ns": max(0.0, layer.cost - overhead)}) for layer in layers], overhead


def layers_of_prefixes(times: np.ndarray, nodes: Sequence[Node], delegated: Collection[str]) -> tuple[Layer, ...]:
    """Layers of the times (rounds, nodes) of models that end with each of the nodes.

    A layer ends where three quarters of the rounds took longer than up to the layer before; what is left then belongs
    to the last layer. delegated: first outputs of the nodes that XNNPACK ran; beside these, built-in kernels are a
    fallback.
    """
    upto = np.concatenate([np.zeros((len(times), 1)), times], axis=1)
    ends = [0]
    for stop in range(1, len(nodes) + 1):
        if np.percentile(upto[:, stop] - upto[:, ends[-1]], 25) > 0:
            ends.append(stop)
    ends[-1] = len(nodes)
    found = []
    for start, stop in pairwise(ends):
        ran = {"xnnpack" if node.writes[0] in delegated else "built-in" for node in nodes[start:stop]}
        flags = ("fallback",) if delegated and "built-in" in ran else ()
        took = max(0.0, float(np.median(upto[:, stop] - upto[:, start])))
        found.append(_layer(nodes, range(start, stop), took, ", ".join(sorted(ran)), flags))
    return tuple(found)


def layers_of_runtime(told: Sequence[Ran], nodes: Sequence[Node]) -> tuple[Layer, ...]:
    """Layers of what ONNX Runtime tells of the nodes that it ran, in its order.

    A node of the file that did not run by itself was fused: one with MACs into what reads it, another into what it
    reads. What ran and is not in the file (a change of layout) is a layer of its own.
    """
    by_name = {name: number for number, node in enumerate(nodes) for name in (node.name, *node.writes)}
    places = [by_name.get(_plain(row.name)) for row in told]
    owners: dict[int, int] = {place: row for row, place in enumerate(places) if place is not None}
    writers = {tensor: number for number, node in enumerate(nodes) for tensor in node.writes}
    readers = {tensor: number for number, node in reversed([*enumerate(nodes)]) for tensor in node.reads}

    def join(numbers: Iterable[int], neighbours: Callable[[Node], Iterable[str]], known: Mapping[str, int]) -> None:
        for number in numbers:
            near = next((known[tensor] for tensor in neighbours(nodes[number]) if tensor in known), None)
            if number not in owners and near in owners:
                owners[number] = owners[near]

    forwards, backwards = range(len(nodes)), range(len(nodes) - 1, -1, -1)
    join((number for number in backwards if nodes[number].macs), lambda node: node.writes, readers)
    join(forwards, lambda node: node.reads, writers)
    join(backwards, lambda node: node.writes, readers)  # at the input, where there is nothing before
    return tuple(
        _runtime_layer(row, nodes, sorted(node for node, owner in owners.items() if owner == number))
        for number, row in enumerate(told)
    )


def layers_in_order(told: Sequence[Ran], nodes: Sequence[Node]) -> tuple[Layer, ...]:
    """Layers as `layers_of_runtime` has them, without their times and what is not in the file, in the file's order."""
    places = {tensor: number for number, node in enumerate(nodes) for tensor in node.writes}
    known = [layer for layer in layers_of_runtime(told, nodes) if layer.output in places]
    return tuple(layer.model_copy(update={"ns": None}) for layer in sorted(known, key=lambda each: places[each.output]))


def single_layers(nodes: Sequence[Node]) -> tuple[Layer, ...]:
    """A layer for every node."""
    return tuple(_layer(nodes, [number], None, None, ()) for number in range(len(nodes)))


def _short(counts: Counts) -> LayerCounts:
    moved = counts.bytes_loaded + counts.bytes_stored
    return LayerCounts(
        instructions=counts.instructions,
        macs=sum(counts.macs.values()),
        bytes=moved,
        l1_misses=counts.l1_misses,
        l2_misses=counts.l2_misses,
        cycles=None if counts.cycles is None else counts.cycles[0],
    )


def _less(one: LayerCounts, other: LayerCounts) -> LayerCounts:
    values = one.model_dump(exclude_none=True)
    return LayerCounts(**{name: value - getattr(other, name) for name, value in values.items()})


def _plain(name: str) -> str:
    return RENAMED.sub("", RENAMED.sub("", name))


def _nanoseconds(row: Ran) -> float:
    """The mean of the middle half: whole microseconds are too coarse for a median. They are cut off, not rounded."""
    samples = np.sort(np.array(row.us, np.float64))
    quarter = len(samples) // 4
    return 1000 * (float(samples[quarter : len(samples) - quarter].mean()) + 0.5)


def _runtime_layer(row: Ran, nodes: Sequence[Node], members: Sequence[int]) -> Layer:
    nanoseconds = _nanoseconds(row)
    flags = () if row.provider.startswith("CPU") else ("fallback",)
    if not members:
        moves = "Reorder" in row.kernel or "Transpose" in row.kernel
        return Layer(
            operators=(row.kernel,),
            output=row.name,
            shape=tuple(row.shape),
            dtype="",
            macs=0,
            bytes=row.bytes,
            ns=nanoseconds,
            kernel=row.kernel,
            flags=("transpose",) if moves else (),
        )
    kernel = row.kernel + (" (NCHWc)" if row.name.endswith("_nchwc") else "")
    return _layer(nodes, members, nanoseconds, kernel, flags)


def _layer(
    nodes: Sequence[Node], members: Sequence[int], ns: float | None, kernel: str | None, flags: tuple[str, ...]
) -> Layer:
    """Nodes as one layer: what passes from one of them to another moves no bytes."""
    group = [nodes[number] for number in members]
    main = max(group, key=lambda node: node.macs)
    inside = {tensor for node in group for tensor in node.writes}
    read = {tensor: count for node in group for tensor, count in node.reads.items() if tensor not in inside}
    numbers = sum(read.values()) + group[-1].elements + sum(node.parameters for node in group)
    return Layer(
        operators=tuple(node.kind for node in group),
        output=group[-1].writes[0],
        shape=main.shape,
        dtype=main.dtype,
        form=main.form,
        channels=main.channels,
        idle_lanes=main.idle_lanes,
        macs=sum(node.macs for node in group),
        bytes=main.bytes_each * numbers,
        weights=main.bytes_each * sum(node.parameters for node in group),
        ns=ns,
        kernel=kernel,
        flags=tuple(dict.fromkeys([*(flag for node in group for flag in node.flags), *flags])),
    )
