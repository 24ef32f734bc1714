"""What a network takes under a plan, by a file of times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from converters.passes.rewrites.rules import Cpu
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.plan import Coupled, Plan
from falcon_edge.falcon.search import Rest
from falcon_edge.network import Network
from falcon_edge.steps.planning.timed_layers import Layers, Replaced, replaced_in
from falcon_edge.times import Series, TimedNetwork, Times, Unit, Way
from runtime_bench.runtimes import runtime_named


@dataclass(frozen=True)
class Prediction:
    """What a network takes under a plan, in seconds or estimated cycles. layers: by name; rest: beside them."""

    value: float
    layers: dict[str, float]
    rest: float


class Predictor:
    """What a standard network takes under plans, by the times of one device, runtime and precision.

    Seconds, or estimated cycles of an emulated CPU. way: "back to back" or "cold"; an emulated CPU has "cycles" alone.
    Back to back a layer by itself finds its weights in the caches, and in a large network does not: there the rest,
    which has that wait in it, depends on the weights of the layers that were timed alone.
    """

    def __init__(self, network: Network, series: Series, way: Way | None = None, coupled: Sequence[Coupled] = ()):
        """coupled: of a narrower network, what is removed.

        Raises BadInput where the times have no rest of this network, or none of this way.
        """
        self.layers, self._series = Layers(network, coupled), series
        self._narrower: dict[tuple[Coupled, ...], Predictor] = {}
        self.way: Way = way or ("cycles" if series.emulated else "back to back")
        self._units = {each.unit: each for each in series.units}
        whole = [each for each in series.networks if self._is_of(each) and each.value(self.way)]
        if not whole:
            raise BadInput(
                f"{series} has no times of {network} {self.way}; make them by falcon-edge times {network.name}"
            )
        self.rest = self._rest(whole)

    @property
    def standard(self) -> Replaced:
        """No layer replaced."""
        return {}

    @property
    def falcon(self) -> Replaced:
        """FALCON of rank 1 in every layer."""
        return self.layers.anchors()[-1]

    def predict(self, plan: Plan | Replaced) -> Prediction:
        """Of a plan. Raises BadInput where a layer of it was not timed."""
        if isinstance(plan, Plan):
            own = (plan.coupled if plan.removed else ()) == self.layers.coupled
            return (self if own else self.narrower(plan.coupled)).predict(plan.replaced)
        layers: dict[str, float] = {}
        for name, unit in self.layers.units_of(plan):
            layers[name] = layers.get(name, 0.0) + self._value(unit, name)
        rest = self.rest.at(self._alone(plan))
        return Prediction(sum(layers.values()) + rest, layers, rest)

    @property
    def widths(self) -> list[float]:
        """Of narrower networks that were timed, the widest first."""
        found = {each.width for each in self._series.networks if each.width is not None}
        return sorted(found, reverse=True)

    def narrower(self, coupled: Sequence[Coupled]) -> "Predictor":
        """Of the network without some channels, by the same times. Raises BadInput where they have none of it."""
        key = tuple(coupled)
        if key not in self._narrower:
            self._narrower[key] = Predictor(self.layers.network, self._series, self.way, key)
        return self._narrower[key]

    def costs(self, layer: str) -> dict[Replacement | None, float]:
        """What a layer takes in every form that was timed for it, and as it is (None)."""
        conv = self.layers.conv(layer)
        own = (conv.in_channels, conv.out_channels), conv.kernel_size
        alike = [unit for unit in self._units if unit.form in FORMS and (unit.channels, unit.kernel) == own]
        made = (Replacement(unit.form, unit.sizes) for unit in alike)
        forms = dict.fromkeys([None, *(each for each in made if self.layers.can_become({layer: each}))])
        found = {}
        for form in forms:
            timed = [self._units.get(unit) for unit in self.layers.units_at(layer, form)]
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

    def alone(self, layer: str, replacement: Replacement | None) -> int:
        """Weights of a layer, for each of its calls that was timed alone.

        Timed in a chain of copies it does not count: the other copies went through the caches between two calls of it.
        """
        timed = [self._units.get(unit) for unit in self.layers.units_at(layer, replacement)]
        calls = sum(each is not None and each.copies == 1 for each in timed)
        return calls * self.layers.parameters_at(layer, replacement)

    def _alone(self, replaced: Replaced) -> int:
        return sum(self.alone(name, replaced.get(name)) for name in self.layers.convs)

    def _rest(self, whole: Sequence[TimedNetwork]) -> Rest:
        """What a network takes beside its layers, by their weights, as the networks that were timed whole tell it."""
        weights = np.array([self._alone(replaced_in(each)) for each in whole])
        rests = np.array([self._rest_of(each) for each in whole])
        # What a measurement is off by is a share of all that was measured: a small network tells most of the rest.
        trust = np.array([self._whole(each) for each in whole]) ** -2.0
        points, place = np.unique(weights if self.way == "back to back" else 0 * weights, return_inverse=True)
        together = np.bincount(place, trust)
        found = isotonic_regression(np.bincount(place, trust * rests) / together, weights=together).x
        return Rest(tuple(map(float, points)), tuple(map(float, found)))  # more weights are never waited for less

    def _is_of(self, whole: TimedNetwork) -> bool:
        """Whether it is this network: others may give the same shapes, or have other names for its layers."""
        replaced = replaced_in(whole)
        return (
            whole.outline == self.layers.outline.digest
            and self.layers.can_become(replaced)
            and whole.parameters == self.layers.parameters_of(replaced)
        )

    def _whole(self, whole: TimedNetwork) -> float:
        value = whole.value(self.way)
        assert value is not None
        return value

    def _rest_of(self, whole: TimedNetwork) -> float:
        """What a network takes beyond its layers."""
        return self._whole(whole) - sum(
            self._value(unit, name) for name, unit in self.layers.units_of(replaced_in(whole))
        )


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
