"""times: every form of a network's layers timed as small models on a device."""

import random
import tempfile
from collections.abc import Sequence
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
from falcon_edge.falcon.forward import full_precision
from falcon_edge.falcon.plan import Plan
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.outputs import flattened
from falcon_edge.place import locked
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.planning.timed_layers import Layers, Replaced, Version, replaced_in, versions_of
from falcon_edge.steps.planning.units import Small, export, reference_module, small, small_module
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
LONGER = 5  # are whole networks measured, of which there are few
RESTLESS = 0.1  # a difference between rounds that is said
PRECISIONS = ("fp32", "int8")
Entry = TypeVar("Entry", TimedReference, TimedUnit, TimedNetwork, TimedRewrite)


@dataclass(frozen=True)
class TimesRequest:
    """What is timed. plans: by default every form at a choice of sizes, else what these plans have, and no other.

    widths: of narrower networks, whose layers are timed in every form, too: shares of the channels in every group.
    rounds: how often, each in fresh processes and another order. cpu: the kind of CPU that int8 files are written for.
    """

    runtime: str
    precision: str = "fp32"
    plans: Sequence[Plan] = ()
    widths: Sequence[float] = ()
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
        other = next((width for width in self.widths if not 0 < width < 1), None)
        if other is not None:
            raise BadInput(f"`widths` {other:g}: a share of the channels lies between 0 and 1")
        if self.widths and self.plans:
            raise BadInput("`widths` do not go with plans, which have their own")

    def turns(self, device: Device, longer: int = 1) -> Turns:
        """A worker of a device for these, each measured so many times as long."""
        turn = replace(self.turn, seconds=longer * self.turn.seconds, cold=longer * self.turn.cold)
        return Turns(device, self.runtime, turn, self.threads)


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
    versions = versions_of(network, request.plans, request.widths)
    with locked(path), opened(device) as chosen, tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
        times = read_times(path) if path.exists() else Times()
        run = _Run(times, path, request, chosen, Path(folder), progress)
        try:
            return run.time(versions)
        except DeviceError as error:
            if run.began:
                error.args = (f"{error}; what was timed is in {path}, and the same command goes on from there",)
            raise


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

    def time(self, versions: Sequence[Version]) -> Series:
        units = list(dict.fromkeys(unit for version in versions for unit in version.units))
        anchors = [(version, replaced) for version in versions for replaced in version.layers.anchors()]
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
            self._whole(order.sample(anchors, len(anchors)), number)
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

    def _whole(self, anchors: Sequence[tuple[Version, Replaced]], number: int) -> None:
        """Whole networks."""
        for version, replaced in anchors:
            layers = version.layers
            parameters = layers.parameters_of(replaced)
            key = _key(layers.outline.digest, parameters, replaced)
            before = self._networks.get(key)
            self._say()
            if self._has(before, number):
                continue
            if before is None:
                before = TimedNetwork(
                    outline=layers.outline.digest,
                    replaced={name: (each.form, each.sizes) for name, each in sorted(replaced.items())},
                    parameters=parameters,
                    width=version.width,
                )
            file = self._files.get(key)
            if file is None:
                file = self._files[key] = self._export_network(layers, replaced)
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
            _key(each.outline, each.parameters, replaced_in(each)): each for each in self._series.networks
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

    def _export_network(self, layers: Layers, replaced: Replaced) -> Path:
        network = layers.network
        module = flattened(surgery.apply(layers.module, replaced, fit=False), network.outputs)
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


def _key(outline: str, parameters: int, replaced: Replaced) -> str:
    """parameters: kernels of another size give outputs of the same shapes."""
    return repr((outline, parameters, sorted(replaced.items())))
