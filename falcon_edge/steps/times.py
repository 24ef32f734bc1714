"""times: every form of a network's layers timed as small models on a device, and what adding them up predicts."""

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import nn

from converters.errors import ConversionError
from converters.passes.rewrites.rules import Cpu, Recorded
from falcon_edge.documents import canonical_json
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.forms import FALCON, FORMS
from falcon_edge.falcon.forms.form import Form, Replacement, Sizes
from falcon_edge.falcon.observe import Observed, Outline, full_precision, observe, outlined
from falcon_edge.falcon.plan import LANES, Plan, default_layers
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.outputs import flattened
from falcon_edge.place import locked
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.units import Small, export, reference_module, small, small_module, unit_of
from falcon_edge.times import (
    WAYS,
    Measured,
    Reference,
    Series,
    TimedNetwork,
    TimedReference,
    TimedRewrite,
    TimedUnit,
    Times,
    Unit,
    Way,
    read_times,
)
from runtime_bench.devices.device import Device
from runtime_bench.devices.names import opened
from runtime_bench.errors import DeviceError, WorkerError
from runtime_bench.files import check_outputs, write
from runtime_bench.regression import fingerprint
from runtime_bench.runtimes import runtime_named
from runtime_bench.turns import OF_THE_FILE, Took, Turn, Turns

ROUNDS = 3
RANKS = (1, 2, 3)
SHARES = (0.06, 0.125, 0.25, 0.5)  # of a layer's MACs
MIDDLE = (0.5, 0.25)  # of a network's parameters: between the standard network and FALCON in every layer
LONGER = 5  # are whole networks measured, of which there are few
RESTLESS = 0.1  # a difference between rounds that is said
PRECISIONS = ("fp32", "int8")
Replaced = Mapping[str, Replacement]
Entry = TypeVar("Entry", TimedReference, TimedUnit, TimedNetwork, TimedRewrite)


@dataclass(frozen=True)
class TimesRequest:
    """What is timed. plans: by default every form at a choice of sizes, else what these plans have, and no other.

    rounds: how often, each in fresh processes and another order. cpu: the kind of CPU that int8 files are written for.
    """

    runtime: str
    precision: str = "fp32"
    plans: Sequence[Plan] = ()
    threads: int = 1
    rounds: int = ROUNDS
    cpu: Cpu = "any"
    turn: Turn = field(default_factory=Turn)

    def __post_init__(self) -> None:
        object.__setattr__(self, "runtime", runtime_named(self.runtime).name)
        if self.precision not in PRECISIONS:
            raise BadInput(f"`precision` {self.precision}: layers are timed in {' or '.join(PRECISIONS)}")
        if self.rounds < 1 or self.threads < 1:
            raise BadInput("`rounds` and `threads` are at least 1")

    def turns(self, device: Device, longer: int = 1) -> Turns:
        """A worker of a device for these, each measured so many times as long."""
        turn = replace(self.turn, seconds=longer * self.turn.seconds, cold=longer * self.turn.cold)
        return Turns(device, self.runtime, turn, self.threads)


@dataclass(frozen=True)
class Prediction:
    """What a network takes under a plan, in seconds or estimated cycles. layers: by name; rest: beside them."""

    value: float
    layers: dict[str, float]
    rest: float


@full_precision()
def time_layers(
    network: Network,
    path: str | Path,
    request: TimesRequest,
    *,
    device: str | Device = "local",
    progress: Progress = silent,
) -> Series:
    """Time what a file of times lacks of a standard network's layers; returns all that it has of this device.

    The file is written after every model, so that a run that was ended, or whose device was lost, goes on where it was.
    Raises BadInput for a network that is compressed already or a file that is none, DeviceError for a device that is
    lost.
    """
    path = Path(path)
    check_outputs([path])
    layers = Layers(network)
    wanted = layers.units(request.plans)
    with locked(path), opened(device) as chosen, tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        times = read_times(path) if path.exists() else Times()
        run = _Run(times, path, request, chosen, Path(folder), progress)
        try:
            return run.time(wanted, layers.anchors(), layers)
        except DeviceError as error:
            if run.began:
                error.args = (f"{error}; what was timed is in {path}, and the same command goes on from there",)
            raise


class Layers:
    """The convolutions of a standard network that forms replace by default: these are timed, all else is the rest."""

    def __init__(self, network: Network):
        """Raises BadInput for a network that is compressed already."""
        if network.compressed:
            raise BadInput(f"{network}: is compressed already; times are of standard networks and their plans")
        self.network, self.module = network, network.module
        self.shape = network.input.shape
        self.observed: Observed = observe(self.module, self.shape)
        self.outline: Outline = outlined(self.module, self.shape)
        chosen = default_layers(self.module, self.observed)
        self.convs = {name: self.module.get_submodule(name) for name, reason in chosen.items() if reason is None}
        self.parameters = sum(parameter.numel() for parameter in self.module.parameters())
        if not self.convs:
            raise BadInput(f"{network}: has no convolution that a form makes cheaper")

    def units_of(self, replaced: Replaced) -> Iterator[tuple[str, Unit]]:
        """Every call of a layer, by name, with its unit. Raises BadInput for a plan that replaces another layer."""
        other = next((name for name in replaced if name not in self.convs), None)
        if other is not None:
            raise BadInput(f"the plan replaces {other}, which no form replaces by default: it is not timed by itself")
        for name in self.convs:
            for unit in self.units_at(name, replaced.get(name)):
                yield name, unit

    def units_at(self, name: str, replacement: Replacement | None) -> Iterator[Unit]:
        """Every call of a layer, in a form or kept."""
        for place in self.outline.places:
            if place.name == name:
                yield unit_of(self.conv(name), place, replacement)

    def units(self, plans: Sequence[Plan]) -> list[Unit]:
        """What is timed: of plans, or of every form; those of the anchors too."""
        chosen = [plan.replaced for plan in plans] if plans else [*self._all_forms()]
        return list(dict.fromkeys(unit for each in (*chosen, *self.anchors()) for _, unit in self.units_of(each)))

    def anchors(self) -> list[dict[str, Replacement]]:
        """Networks between the standard one and FALCON of rank 1, the layers with the most weights replaced first."""
        falcon = {name: Replacement(FALCON.name, (1,)) for name in self.convs}
        saved = {name: self._saved(name, falcon[name]) for name in self.convs}
        order = sorted(self.convs, key=lambda name: -saved[name])
        found: list[dict[str, Replacement]] = [{}]
        for share in MIDDLE:
            left, replaced = self.parameters, {}
            for name in order:
                if left <= share * self.parameters:
                    break
                replaced[name] = falcon[name]
                left -= saved[name]
            found.append(replaced)
        found.append(falcon)
        return [each for number, each in enumerate(found) if each not in found[:number]]

    def parameters_of(self, replaced: Replaced) -> int:
        """Of the network with these forms."""
        return self.parameters - sum(self._saved(name, each) for name, each in replaced.items())

    def parameters_at(self, name: str, replacement: Replacement | None) -> int:
        """Of one layer."""
        own = sum(parameter.numel() for parameter in self.conv(name).parameters())
        return own if replacement is None else own - self._saved(name, replacement)

    def _saved(self, name: str, replacement: Replacement) -> int:
        conv, form = self.conv(name), FORMS[replacement.form]
        own = sum(parameter.numel() for parameter in conv.parameters())
        return own - form.parameters(conv, replacement.sizes, conv.bias is not None)

    def _all_forms(self) -> Iterator[dict[str, Replacement]]:
        """Plans that have every form of every layer at the sizes that are timed by default."""
        yield {}
        for form in FORMS.values():
            each = {
                name: [Replacement(form.name, sizes) for sizes in timed_sizes(form, self.conv(name))]
                for name in self.convs
                if form.why_not(self.conv(name)) is None
            }
            for number in range(max(map(len, each.values()), default=0)):
                yield {name: found[number] for name, found in each.items() if number < len(found)}

    def conv(self, name: str) -> nn.Conv2d:
        """A layer."""
        conv = self.convs[name]
        assert isinstance(conv, nn.Conv2d)
        return conv


def timed_sizes(form: Form, conv: nn.Conv2d) -> list[Sizes]:
    """The sizes of a form that are timed by default, for any weights: ranks, or channels at shares of the weights."""
    limit, own = form.lossless(conv.weight), conv.weight.numel()

    def weights(sizes: Sizes) -> int:
        return sum(part.weights for part in form.parts(conv.weight, sizes))

    if not form.counts_channels:
        found = [tuple(min(rank, most) for most in limit) for rank in RANKS]
        return list(dict.fromkeys(sizes for sizes in found if weights(sizes) < own)) or [found[0]]
    scaled = sorted({tuple(_lanes(most * step // max(limit)) for most in limit) for step in range(1, max(limit) + 1)})
    chosen = [[sizes for sizes in scaled if weights(sizes) <= share * own] or scaled[:1] for share in SHARES]
    return list(dict.fromkeys(each[-1] for each in chosen if weights(each[-1]) < own))


def _lanes(size: int) -> int:
    """The largest number of channels within `size` that kernels like: a multiple of LANES, or a power of two below."""
    return size // LANES * LANES or 1 << max(size, 1).bit_length() - 1


def series_in(times: Times, request: TimesRequest, device: Device, version: str) -> Series:
    """What a file of times has for a request and a device with a version of the runtime; one without any times yet."""
    fresh = Series(
        device=device.name,
        machine=fingerprint(device.environment()),
        emulated=device.emulated,
        runtime=request.runtime,
        version=version,
        precision=request.precision,
        cpu=request.cpu,
        threads=request.threads,
    )
    return next((each for each in times.series if each.key == fresh.key), fresh)


class _Run:
    """One run of `time_layers`: models are made when they are first needed, and the file is written after each."""

    def __init__(
        self, times: Times, path: Path, request: TimesRequest, device: Device, folder: Path, progress: Progress
    ):
        self._times, self._path, self._request, self._device = times, path, request, device
        self._folder, self._progress = folder, progress
        self._files: dict[object, Path] = {}
        self._references: dict[Reference, TimedReference] = {}
        self._units: dict[Unit, TimedUnit] = {}
        self._networks: dict[str, TimedNetwork] = {}
        self._series: Series | None = None
        self._suffix = runtime_named(request.runtime).suffixes[0]
        self._done, self._total, self._text = 0, 0, ""

    @property
    def began(self) -> bool:
        """Whether anything is in the file."""
        return self._series is not None and bool(self._series.units)

    def time(self, units: Sequence[Unit], anchors: Sequence[Replaced], layers: Layers) -> Series:
        smalls = [small(unit) for unit in units]
        groups: dict[Reference, list[Small]] = {}
        for each in smalls:
            groups.setdefault(each.unit.reference, []).append(each)
        order = random.Random(0)
        rounds = 1 if self._device.emulated else self._request.rounds
        self._total = rounds * (len(smalls) + len(anchors))
        for number in range(rounds):
            shuffled = order.sample([*groups], len(groups))
            for reference in shuffled:
                read = f"{reference.channels}x{reference.height}x{reference.width}"
                self._text = f"round {number + 1} of {rounds}: layers that read {read}"
                self._group(reference, order.sample(groups[reference], len(groups[reference])), number)
            self._text = f"round {number + 1} of {rounds}: whole networks"
            self._whole(order.sample([*anchors], len(anchors)), layers, number)
        assert self._series is not None
        self._progress(self._total, self._total, "timed")
        self._tell(units)
        return self._series

    def _group(self, reference: Reference, smalls: Sequence[Small], number: int) -> None:
        """The units that are compared with one small model, in a fresh worker."""
        self._load_series(reference)
        lacking = [each for each in smalls if not self._has(self._units.get(each.unit), number)]
        self._done += len(smalls) - len(lacking)
        if not lacking:
            return
        with self._request.turns(self._device) as turns:
            own = self._references.get(reference, TimedReference(reference=reference))
            self._references[reference] = with_round(own, turns.take(self._file(reference)))
            for each in lacking:
                self._say()
                before = self._units.get(each.unit, TimedUnit(unit=each.unit, copies=each.copies))
                try:
                    took = turns.take(self._file(each))
                except WorkerError as error:
                    if error.kind not in OF_THE_FILE:
                        raise
                    self._units[each.unit] = before.model_copy(update={"failure": str(error)})
                except ConversionError as error:
                    self._units[each.unit] = before.model_copy(update={"failure": str(error)})
                else:
                    self._units[each.unit] = with_round(before, took)
                self._write()

    def _whole(self, anchors: Sequence[Replaced], layers: Layers, number: int) -> None:
        """Whole networks."""
        for replaced in anchors:
            key = _key(layers.outline.digest, replaced)
            before = self._networks.get(key)
            self._say()
            if self._has(before, number):
                continue
            if before is None:
                before = TimedNetwork(
                    outline=layers.outline.digest,
                    replaced={name: (each.form, each.sizes) for name, each in sorted(replaced.items())},
                    parameters=layers.parameters_of(replaced),
                )
            file = self._files.get(key)
            if file is None:
                file = self._files[key] = self._export_network(layers.network, replaced)
            with self._request.turns(self._device, LONGER) as turns:
                self._networks[key] = with_round(before, turns.take(file))
            self._write()

    def _has(self, found: Measured | None, number: int) -> bool:
        """Whether this round was measured, or never can be."""
        return found is not None and (found.rounds > number or getattr(found, "failure", None) is not None)

    def _load_series(self, reference: Reference) -> None:
        """What the file has of this device and runtime, of which a worker tells the version."""
        if self._series is not None:
            return
        request = self._request
        with self._request.turns(self._device) as turns:
            about = turns.load(self._file(reference)).runtime
        self._series = series_in(self._times, request, self._device, about.version)
        self._references = {each.reference: each for each in self._series.references}
        self._units = {each.unit: each for each in self._series.units}
        self._networks = {
            _key(each.outline, {name: Replacement(*given) for name, given in each.replaced.items()}): each
            for each in self._series.networks
        }

    def _file(self, of: Reference | Small) -> Path:
        """Its model file, made the first time."""
        if of not in self._files:
            module, shape = reference_module(of) if isinstance(of, Reference) else small_module(of)
            self._files[of] = self._export(module, shape)
        return self._files[of]

    def _export(self, module: nn.Module, shape: tuple[int, int, int], **options: Any) -> Path:
        path, request = self._folder / f"model{len(self._files)}", self._request
        rules = Recorded(request.cpu)
        return export(module, shape, self._suffix, request.precision, path, rules=rules, **options)

    def _export_network(self, network: Network, replaced: Replaced) -> Path:
        module = flattened(surgery.apply(network.module, replaced, fit=False), network.outputs)
        names = [output.name for output in network.outputs]
        return self._export(module, network.input.shape, outputs=names, simplify=True)

    def _say(self) -> None:
        self._progress(self._done, self._total, self._text)
        self._done += 1

    def _write(self) -> None:
        """The file as a whole, or as it was."""
        assert self._series is not None
        changed = {
            "references": tuple(self._references.values()),
            "units": tuple(self._units.values()),
            "networks": tuple(self._networks.values()),
        }
        self._times = self._times.with_series(self._series.model_copy(update=changed))
        self._series = next(each for each in self._times.series if each.key == self._series.key)
        write(canonical_json(self._times), self._path)

    def _tell(self, units: Sequence[Unit]) -> None:
        """What is doubtful."""
        found = [self._units[unit] for unit in units]
        failed = [each for each in found if each.failure is not None]
        if failed:
            notice(f"{failed[0].unit} cannot be timed: {failed[0].failure} ({len(failed)} of {len(found)} like that)")
        apart = [np.ptp(each.warm_ns) / np.median(each.warm_ns) for each in found if len(each.warm_ns) > 1]
        if apart and np.median(apart) > RESTLESS:
            share = 100 * float(np.median(apart))
            notice(
                f"rounds differ by {share:.0f}% (median): this machine is not at rest; remove {self._path} and repeat"
            )


def with_round(before: Entry, took: Took) -> Entry:
    """One more round."""
    return before.model_copy(update=_added(before, took))


def _added(before: Measured, took: Took) -> dict[str, tuple[float, ...]]:
    figures: dict[str, float | None] = {name: getattr(took, name) for name in WAYS.values()}
    return {name: (*getattr(before, name), round(each, 1)) for name, each in figures.items() if each is not None}


def _key(outline: str, replaced: Replaced) -> str:
    return repr((outline, sorted(replaced.items())))


class Predictor:
    """What a standard network takes under plans, by the times of one device, runtime and precision.

    Seconds, or estimated cycles of an emulated CPU. way: "back to back" or "cold"; an emulated CPU has "cycles" alone.
    Back to back a layer by itself finds its weights in the caches, and in a large network does not: there the rest,
    which has that wait in it, depends on the weights of the layers that were timed alone.
    """

    def __init__(self, network: Network, series: Series, way: Way | None = None):
        """Raises BadInput where the times have no rest of this network, or none of this way."""
        self._layers, self._series = Layers(network), series
        self.way: Way = way or ("cycles" if series.emulated else "back to back")
        self._units = {each.unit: each for each in series.units}
        digest = self._layers.outline.digest
        whole = [each for each in series.networks if each.outline == digest and each.value(self.way) is not None]
        if not whole:
            raise BadInput(
                f"{series} has no times of {network} {self.way}; make them by falcon-edge times {network.name}"
            )
        points = sorted((self._alone(_replaced(each)), self._rest_of(each)) for each in whole)
        self._weights, self._rests = zip(*points, strict=True)

    @property
    def layers(self) -> "Layers":
        """What was timed of the network."""
        return self._layers

    @property
    def standard(self) -> Replaced:
        """No layer replaced."""
        return {}

    @property
    def falcon(self) -> Replaced:
        """FALCON of rank 1 in every layer."""
        return self._layers.anchors()[-1]

    def predict(self, plan: "Plan | Replaced") -> Prediction:
        """Of a plan. Raises BadInput where a layer of it was not timed."""
        replaced = plan.replaced if isinstance(plan, Plan) else plan
        layers: dict[str, float] = {}
        for name, unit in self._layers.units_of(replaced):
            layers[name] = layers.get(name, 0.0) + self._value(unit, name)
        rest = float(np.median(self._rests))
        if self.way == "back to back":
            rest = float(np.interp(self._alone(replaced), self._weights, self._rests))
        return Prediction(sum(layers.values()) + rest, layers, rest)

    def cost(self, layer: str, form: str, sizes: Sizes) -> float:
        """What one layer takes in a form (or "keep") over all its calls: for a search among plans."""
        replacement = Replacement(form, sizes) if form in FORMS else None
        return sum(self._value(unit, layer) for unit in self._layers.units_at(layer, replacement))

    def costs(self, layer: str) -> dict[Replacement | None, float]:
        """What a layer takes in every form that was timed for it, and as it is (None)."""
        conv = self._layers.conv(layer)
        own = (conv.in_channels, conv.out_channels), conv.kernel_size
        alike = [unit for unit in self._units if unit.form in FORMS and (unit.channels, unit.kernel) == own]
        forms = dict.fromkeys([None, *(Replacement(unit.form, unit.sizes) for unit in alike)])
        found = {}
        for form in forms:
            timed = [self._units.get(unit) for unit in self._layers.units_at(layer, form)]
            values = [None if each is None else self._series.value(each, self.way) for each in timed]
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                found[form] = sum(known)
        return found

    def _value(self, unit: Unit, name: str) -> float:
        found = self._units.get(unit)
        value = None if found is None else self._series.value(found, self.way)
        if value is None:
            why = "" if found is None or found.failure is None else f" ({found.failure})"
            raise BadInput(f"{self._series} has no time of {name} as {unit}{why}; time the plan by falcon-edge times")
        return value

    def _alone(self, replaced: Replaced) -> int:
        """Weights of layers that were timed alone: those of a chain had others between two calls of theirs."""
        own = {name: self._layers.parameters_at(name, replaced.get(name)) for name in self._layers.convs}
        known = ((name, self._units.get(unit)) for name, unit in self._layers.units_of(replaced))
        return sum(own[name] for name, timed in known if timed is not None and timed.copies == 1)

    def _rest_of(self, whole: TimedNetwork) -> float:
        """What a network takes beyond its layers."""
        value = whole.value(self.way)
        assert value is not None
        return value - sum(self._value(unit, name) for name, unit in self._layers.units_of(_replaced(whole)))


def _replaced(whole: TimedNetwork) -> Replaced:
    return {name: Replacement(*given) for name, given in whole.replaced.items()}


def predicted(
    network: Network,
    plan: Plan,
    times: Times,
    *,
    runtime: str,
    precision: str,
    device: str | None = None,
    threads: int = 1,
    cpu: Cpu = "any",
    way: Way | None = None,
) -> Prediction:
    """What a standard network takes under a plan, by a file of times. Raises BadInput where something was not timed."""
    name = runtime_named(runtime).name
    found = times.series_of(runtime=name, precision=precision, device=device, threads=threads, cpu=cpu)
    return Predictor(network, found, way).predict(plan)
