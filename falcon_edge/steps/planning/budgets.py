"""What a network may cost, and what it costs under plans: a latency by a file of times, MACs, or parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol

from converters.passes.rewrites.rules import Cpu
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.plan import Coupled, check_share, sizes_of
from falcon_edge.falcon.search import Rest
from falcon_edge.network import Network
from falcon_edge.steps.planning.predictor import Predictor
from falcon_edge.steps.planning.timed_layers import Layers
from falcon_edge.times import Series, read_times
from runtime_bench.runtimes import runtime_named

By = Literal["macs", "size"]
UNITS: dict[By, str] = {"macs": "MACs", "size": "parameters"}
WIDTHS = (0.75, 0.5, 0.35)  # of narrower networks that are looked at where nothing has to be timed


class Costs(Protocol):
    """What a network, or a narrower one, costs under plans, in one unit."""

    @property
    def unit(self) -> str:
        """What it is counted in."""

    @property
    def layers(self) -> Layers:
        """Of the network."""

    @property
    def widths(self) -> Sequence[float]:
        """Of narrower networks whose costs are known: the share of channels that every group keeps."""

    def narrower(self, coupled: Sequence[Coupled]) -> "Costs | None":
        """What it costs without these channels; None where that is not known, or no form makes it cheaper."""

    @property
    def rest(self) -> Rest:
        """What it costs beside its layers."""

    def of(self, layer: str) -> Mapping[Replacement | None, float]:
        """What a layer costs in every form that is known, and as it is (None)."""

    def weights(self, layer: str, replacement: Replacement | None) -> float:
        """Weights of a layer in a form, or kept, as far as the rest depends on them (see Rest)."""

    def total(self, replaced: Mapping[str, Replacement]) -> float:
        """What the whole network costs with these forms."""


class Timed:
    """Seconds, or cycles of an emulated CPU, by times of the layers."""

    def __init__(self, predictor: Predictor):
        self._predictor, self.layers = predictor, predictor.layers
        self.unit = "cycles" if predictor.way == "cycles" else "seconds"
        self.widths, self.rest = predictor.widths, predictor.rest

    def narrower(self, coupled: Sequence[Coupled]) -> "Timed | None":
        """See Costs."""
        try:
            return Timed(self._predictor.narrower(coupled))
        except BadInput:  # this width was timed of another network, or leaves no layer that a form makes cheaper
            return None

    def of(self, layer: str) -> Mapping[Replacement | None, float]:
        """See Costs."""
        return self._predictor.costs(layer)

    def weights(self, layer: str, replacement: Replacement | None) -> float:
        """See Costs."""
        return self._predictor.alone(layer, replacement)

    def total(self, replaced: Mapping[str, Replacement]) -> float:
        """See Costs."""
        return self._predictor.predict(replaced).value


class Counted:
    """MACs, or parameters."""

    def __init__(self, layers: Layers, what: By = "macs"):
        self.layers, self.unit, self.widths, self._what = layers, UNITS[what], WIDTHS, what
        self._standard = float(layers.observed.total if what == "macs" else layers.parameters)
        self.rest = Rest(costs=(self._standard - sum(self._cost(name, None) for name in layers.convs),))

    def narrower(self, coupled: Sequence[Coupled]) -> "Counted | None":
        """See Costs."""
        try:
            return Counted(Layers(self.layers.network, coupled), self._what)
        except BadInput:
            return None

    def of(self, layer: str) -> Mapping[Replacement | None, float]:
        """See Costs."""
        conv = self.layers.conv(layer)
        found: dict[Replacement | None, float] = {None: self._cost(layer, None)}
        for form in FORMS.values():
            if form.why_not(conv) is None:
                for sizes in sizes_of(form, conv):
                    found[Replacement(form.name, sizes)] = self._cost(layer, Replacement(form.name, sizes))
        return found

    def weights(self, layer: str, replacement: Replacement | None) -> float:
        """See Costs."""
        return 0.0

    def total(self, replaced: Mapping[str, Replacement]) -> float:
        """See Costs."""
        saved = (self._cost(name, None) - self._cost(name, each) for name, each in replaced.items())
        return self._standard - sum(saved)

    def _cost(self, layer: str, replacement: Replacement | None) -> float:
        if self._what == "size":
            return self.layers.parameters_at(layer, replacement)
        if replacement is None:
            return self.layers.observed.macs(layer)
        uses = self.layers.observed.uses[layer]
        return FORMS[replacement.form].macs(self.layers.conv(layer), replacement.sizes, uses)


@dataclass(frozen=True)
class Latency:
    """Of what a latency is, and the file of times that knows it: as `times` made it.

    device: whose times, where the file has several devices'. paced: as an app has it, by times with emptied caches.
    """

    times: str | Path
    runtime: str
    precision: str
    device: str | None = None
    threads: int = 1
    cpu: Cpu = "any"
    paced: bool = False

    @property
    def series(self) -> Series:
        """The times. Raises BadInput where the file lacks them."""
        runtime = runtime_named(self.runtime).name
        return read_times(Path(self.times)).series_of(
            runtime=runtime, precision=self.precision, device=self.device, threads=self.threads, cpu=self.cpu
        )

    def predictor(self, network: Network) -> Predictor:
        """What adds the times up. Raises BadInput where the file lacks them."""
        series = self.series
        return Predictor(network, series, "cold" if self.paced and not series.emulated else None)


def costs_of(network: Network, what: By | Latency) -> Costs:
    """What a standard network costs under plans. Raises BadInput where times are lacking."""
    _check(what)
    return Timed(what.predictor(network)) if isinstance(what, Latency) else Counted(Layers(network), what)


def _check(what: object) -> None:
    if not isinstance(what, Latency) and what not in UNITS:
        raise BadInput(f"{what!r} is nothing that plans save: give {', '.join(map(repr, UNITS))}, or a Latency")


@dataclass(frozen=True)
class Budget:
    """What a network may cost with mixed forms: a share of what it costs, or an amount (seconds, MACs, parameters).

    max_drop: what it may lose at most by the metric, points of a share (percent), else in the metric's unit. It is
    measured once the network is tuned, as the latency is then. Without a share or an amount it costs as little as that
    allows.
    """

    what: By | Latency
    share: float | None = None
    amount: float | None = None
    max_drop: float | None = None

    def __post_init__(self) -> None:
        _check(self.what)
        if self.share is not None and self.amount is not None:
            raise BadInput("a budget is either a share or an amount")
        if self.share is None and self.amount is None and self.max_drop is None:
            raise BadInput("a budget needs a share, an amount, or `max_drop`")
        if self.max_drop is not None and not 0 <= self.max_drop < float("inf"):
            raise BadInput(f"`max_drop` {self.max_drop:g}: give at least 0")
        if self.share is not None:
            check_share(self.share, "what it costs")
        elif self.amount is not None and not 0 < self.amount < float("inf"):
            raise BadInput(f"a budget of {self.amount:g}: give more than 0")

    def cost(self, standard: float) -> float | None:
        """What may be spent of what the standard network costs; None: nothing was said of that."""
        return self.amount if self.share is None else self.share * standard

    @property
    def said(self) -> dict[str, Any]:
        """What a step says of it."""
        named = {"share": self.share, "amount": self.amount, "max_drop": self.max_drop}
        said: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        if not isinstance(self.what, Latency):
            return {"of": self.what, **said}
        of = {field.name: getattr(self.what, field.name) for field in fields(Latency) if field.name != "times"}
        return {"of": "latency", **said, **of}
