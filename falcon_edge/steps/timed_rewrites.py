"""Exact rewrites of an int8 network, each timed on a device in the network itself, and rules that are made of it."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from converters.errors import ConversionError
from converters.onnx_export import export_onnx
from converters.passes.rewrites.multiplied_back import NAME as MULTIPLIED
from converters.passes.rewrites.rules import FOR_ONNX_RUNTIME, RECORDED, Place, Rules
from falcon_edge.documents import canonical_json
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import full_precision
from falcon_edge.falcon.observe import outlined
from falcon_edge.network import Network
from falcon_edge.outputs import flattened
from falcon_edge.place import locked
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.planning.units import quantized, write_int8
from falcon_edge.steps.times import LONGER, TimesRequest, series_in, with_round
from falcon_edge.times import RewritePlace, Series, TimedRewrite, Times, Way, read_times
from runtime_bench.devices.device import Device
from runtime_bench.devices.names import opened
from runtime_bench.errors import DeviceError, WorkerError
from runtime_bench.files import check_outputs, write
from runtime_bench.runtimes import runtime_named
from runtime_bench.turns import OF_THE_FILE, Turns


@dataclass(frozen=True)
class Verdict:
    """How many times as fast a network is with a rewrite (the median of rounds; None: it cannot be run), and if it is
    done: where every round was faster, and of several rewrites of one operator the best."""

    gain: float | None
    done: bool


class TimedRules:
    """What was faster in a network; what was not timed in it, by other rules."""

    def __init__(self, series: Sequence[Series], outline: str, otherwise: Rules = RECORDED):
        """outline: the network's, by `outline_of`."""
        self._otherwise = otherwise
        self._known = {
            (each.runtime, place): found for each in series for place, found in verdicts(each, outline).items()
        }

    def wants(self, runtime: str, place: Place) -> bool:
        """See converters.passes.rewrites.rules.Rules."""
        known = self._known.get((runtime, _key(place)))
        return self._otherwise.wants(runtime, place) if known is None else known.done


def timed_rules(path: Path, network: Network, device: str | None = None, otherwise: Rules = RECORDED) -> TimedRules:
    """The rules that a file of times has for a network on its device. Raises BadInput if it has none."""
    times, outline = read_times(path), outline_of(network)
    found = [each for each in times.series if device in (None, each.device) and _of(each, outline)]
    names = [each.runtime for each in found]
    if len(set(names)) < len(names):
        several = "; ".join(map(str, found))
        raise BadInput(f"{path}: has several devices' or versions' times of {network} ({several})")
    if not found:
        on = "" if device is None else f" on {device}"
        again = f"time them by falcon-edge times {network.name} with `rewrites`"
        raise BadInput(f"{path}: has no rewrites of {network}{on}; {again}")
    return TimedRules(found, outline, otherwise)


def verdicts(series: Series, outline: str) -> dict[RewritePlace, Verdict]:
    """Of every rewrite that was timed in a network back to back, or by the cycles of an emulated CPU."""
    way = way_of(series)
    timed = {each.place: each for each in _of(series, outline)}
    plain = timed.pop(None, None)
    ratios = {
        place: [
            other / mine for other, mine in zip(plain.figures(way) if plain else (), each.figures(way), strict=False)
        ]
        for place, each in timed.items()
        if place is not None
    }
    gains = {place: median(each) if each else None for place, each in ratios.items()}
    best: dict[RewritePlace, float] = {}
    for place, gain in gains.items():
        best[_operator(place)] = max(gain or 0.0, best.get(_operator(place), 0.0))
    return {
        place: Verdict(gain, gain is not None and min(ratios[place]) > 1 and gain == best[_operator(place)])
        for place, gain in gains.items()
    }


def way_of(series: Series) -> Way:
    """What rewrites are judged by."""
    return "cycles" if series.emulated else "back to back"


def outline_of(network: Network) -> str:
    """What tells a network from others: its operators and their shapes, hashed."""
    return outlined(network.module, network.input.shape).digest


def _of(series: Series, outline: str) -> list[TimedRewrite]:
    return [each for each in series.rewrites if each.outline == outline]


def _operator(place: RewritePlace) -> RewritePlace:
    return place.model_copy(update={"rewrite": ""})


def _key(place: Place) -> RewritePlace:
    return RewritePlace(
        rewrite=place.rewrite,
        input=place.input,
        output=place.output,
        kernel=place.kernel,
        stride=place.stride,
        groups=place.groups,
        branches=place.branches,
    )


class _Only:
    """Rules that want one rewrite at places that are alike, and nothing else; what they are asked about is kept."""

    def __init__(self, place: RewritePlace | None = None):
        self.place = place
        self.asked: dict[RewritePlace, None] = {}

    def wants(self, runtime: str, place: Place) -> bool:
        """See converters.passes.rewrites.rules.Rules."""
        self.asked[_key(place)] = None
        return self.place == _key(place)


@full_precision()
def time_rewrites(
    network: Network,
    path: str | Path,
    request: TimesRequest,
    *,
    device: str | Device = "local",
    progress: Progress = silent,
) -> Series:
    """Time a network in int8 without any rewrite and with each that it has a place for, in turns.

    The file of times is written after every model, and what it has already is not timed again. Raises BadInput for
    another precision than int8, DeviceError for a device that is lost.
    """
    path = Path(path)
    check_outputs([path])
    if request.precision != "int8":
        raise BadInput(f"`precision` {request.precision}: rewrites are of int8 files")
    with locked(path), opened(device) as chosen, tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        times = read_times(path) if path.exists() else Times()
        run = _Run(times, path, request, chosen, network)
        progress(0, 1, f"quantizing {network}")
        files = dict(_files(network, request.runtime, Path(folder)))
        try:
            return run.time(files, progress)
        except DeviceError as error:
            if path.exists():
                error.args = (f"{error}; what was timed is in {path}, and the same command goes on from there",)
            raise


def _files(network: Network, runtime: str, folder: Path) -> Iterator[tuple[RewritePlace | None, Path | str]]:
    """The network without a rewrite, and with each: a file, or why there is none."""
    module, names = flattened(network.module, network.outputs), [output.name for output in network.outputs]
    graph, suffix = folder / "float.onnx", runtime_named(runtime).suffixes[0]
    export_onnx(module, torch.zeros(1, *network.input.shape), graph, output_names=names)
    plain = _Only()
    done = quantized(graph, network.input.shape, plain)
    yield None, write_int8(done, folder / f"0{suffix}", plain)
    for number, place in enumerate(plain.asked, start=1):
        if place.rewrite in FOR_ONNX_RUNTIME and runtime != "onnxruntime":
            continue
        only = _Only(place)
        try:  # what multiplies factors back comes before the quantization
            made = quantized(graph, network.input.shape, only) if place.rewrite == MULTIPLIED else done
            yield place, write_int8(made, folder / f"{number}{suffix}", only)
        except ConversionError as error:
            yield place, str(error)


class _Run:
    """One run of `time_rewrites`."""

    def __init__(self, times: Times, path: Path, request: TimesRequest, device: Device, network: Network):
        self._times, self._path, self._request, self._device = times, path, request, device
        self._outline = outline_of(network)

    def time(self, files: dict[RewritePlace | None, Path | str], progress: Progress) -> Series:
        request, order = self._request, random.Random(0)
        rounds = 1 if self._device.emulated else request.rounds
        for number in range(rounds):
            with request.turns(self._device, LONGER) as turns:
                version = turns.load(Path(files[None])).runtime.version
                series = series_in(self._times, request, self._device, version)
                known = {each.place: each for each in _of(series, self._outline)}
                for done, (place, file) in enumerate(order.sample([*files.items()], len(files))):
                    text = f"round {number + 1} of {rounds}: {place or 'without a rewrite'}"
                    progress(number * len(files) + done, rounds * len(files), text)
                    before = known.get(place, TimedRewrite(outline=self._outline, place=place))
                    if before.rounds > number or before.failure is not None:
                        continue
                    series = self._write(series, self._timed(before, file, turns))
        progress(1, 1, "timed")
        return series

    def _timed(self, before: TimedRewrite, file: Path | str, turns: Turns) -> TimedRewrite:
        if isinstance(file, str):
            return before.model_copy(update={"failure": file})
        try:
            return with_round(before, turns.take(file))
        except WorkerError as error:
            if error.kind not in OF_THE_FILE or before.place is None:
                raise
            return before.model_copy(update={"failure": str(error)})

    def _write(self, series: Series, timed: TimedRewrite) -> Series:
        """The file as a whole, or as it was."""
        others = [each for each in series.rewrites if (each.outline, each.place) != (timed.outline, timed.place)]
        series = series.model_copy(update={"rewrites": (*others, timed)})
        self._times = self._times.with_series(series)
        write(canonical_json(self._times), self._path)
        return next(each for each in self._times.series if each.key == series.key)
