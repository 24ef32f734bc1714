"""plan: for every layer the form that loses least within what the whole network may cost."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor

from falcon_edge.data import Dataset
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Replacement, error_at
from falcon_edge.falcon.observe import full_precision
from falcon_edge.falcon.plan import Plan, check_share, make_plan, sizes_of
from falcon_edge.falcon.search import ROUNDING, Choice, Offer, best, least, useful
from falcon_edge.falcon.sensitivity import sensitivities
from falcon_edge.network import Network
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.times import Layers, Predictor
from falcon_edge.times import read_times
from falcon_edge.training.images import Images
from runtime_bench.runtimes import runtime_named

IMAGES, BATCH = 256, 32  # by which layers are weighed
COUNT = 20  # plans of a frontier
# What a form's error costs once the network is tuned, fitted to 21 plans of VGG8 (docs/plans.md).
FACTORS = {
    "falcon": 0.74,
    "dsconv": 0.87,
    "tucker2": 1.05,
    "lowrank_in": 1.18,
    "lowrank_out": 1.15,
    "spatial": 1.09,
}
WORTH_POWER = 0.5  # likewise: what differs by much counts by less
AGAIN = 8  # times that a budget is corrected for what depends on the whole plan


class Costs(Protocol):
    """What a network costs under plans, in one unit."""

    unit: str
    layers: Layers

    def of(self, layer: str) -> Mapping[Replacement | None, float]:
        """A layer in every form that is known, and as it is (None)."""

    def total(self, replaced: Mapping[str, Replacement]) -> float:
        """The whole network."""


class Timed:
    """Seconds, or cycles of an emulated CPU, by times of the layers."""

    def __init__(self, predictor: Predictor):
        self._predictor, self.layers = predictor, predictor.layers
        self.unit = "cycles" if predictor.way == "cycles" else "seconds"

    def of(self, layer: str) -> Mapping[Replacement | None, float]:
        """See Costs."""
        return self._predictor.costs(layer)

    def total(self, replaced: Mapping[str, Replacement]) -> float:
        """See Costs."""
        return self._predictor.predict(replaced).value


class Counted:
    """MACs, or parameters."""

    def __init__(self, layers: Layers, what: str = "MACs"):
        self.layers, self.unit = layers, what
        executed = sum(one.macs for one in layers.observed.executed)
        self._standard = float(executed if what == "MACs" else layers.parameters)

    def of(self, layer: str) -> Mapping[Replacement | None, float]:
        """See Costs."""
        conv = self.layers.conv(layer)
        found: dict[Replacement | None, float] = {None: self._cost(layer, None)}
        for form in FORMS.values():
            if form.why_not(conv) is None:
                for sizes in sizes_of(form, conv):
                    found[Replacement(form.name, sizes)] = self._cost(layer, Replacement(form.name, sizes))
        return found

    def total(self, replaced: Mapping[str, Replacement]) -> float:
        """See Costs."""
        saved = (self._cost(name, None) - self._cost(name, each) for name, each in replaced.items())
        return self._standard - sum(saved)

    def _cost(self, layer: str, replacement: Replacement | None) -> float:
        if self.unit != "MACs":
            return self.layers.parameters_at(layer, replacement)
        if replacement is None:
            return self.layers.observed.macs(layer)
        uses = self.layers.observed.uses[layer]
        return FORMS[replacement.form].macs(self.layers.conv(layer), replacement.sizes, uses)


@dataclass(frozen=True)
class Planned:
    """A plan, what the network costs and loses with it by prediction, and the least loss of all plans of its cost."""

    plan: Plan
    cost: float
    share: float
    loss: float
    bound: float


class Planner:
    """Plans of one network on one device: offers are made once, and every budget is solved on them."""

    @full_precision()
    def __init__(self, network: Network, dataset: Dataset, costs: Costs, *, progress: Progress = silent):
        """dataset: has the network's classes; its training images are looked at, without labels."""
        self._network, self._costs = network, costs
        self._errors: dict[tuple[str, Replacement | None], float] = {}
        layers = costs.layers
        images = Images(dataset.first("train", "val", "test")[1], network.input)
        progress(0, len(layers.convs) + 1, "what layers are worth")
        seen = images.unlabelled(BATCH, IMAGES)
        self._worth = sensitivities(network.module, layers.convs, seen, decides=network.is_classifier)
        self._offers = {}
        for number, name in enumerate(layers.convs, start=1):
            progress(number, len(layers.convs) + 1, f"forms of {name}")
            self._offers[name] = self._offers_of(layers, name)
        progress(1, 1, "forms of all layers")
        self._standard = costs.total({})

    @property
    def standard(self) -> float:
        """What the network costs as it is."""
        return self._standard

    @cached_property
    def least(self) -> float:
        """What it costs with the cheapest form in every layer."""
        return self._costs.total(_replaced({name: useful(each)[0] for name, each in self._offers.items()}))

    def within(self, budget: float) -> Planned:
        """The plan that loses least at a cost of at most `budget`. Raises BelowAsked if there is none."""
        found = self._within(budget)
        if found is None:
            raise BelowAsked(
                f"{self._network}: no plan comes down to {self.said(budget)}: the cheapest forms leave "
                f"{self.said(self.least)}, {100 * self.least / self._standard:.3g}% of what it is"
            )
        return self._planned(found)

    def frontier(self, count: int = COUNT) -> list[Planned]:
        """The best plans at `count` costs, evenly apart in ratio, the dearest first and the cheapest last."""
        found: list[Choice] = []
        between = np.geomspace if self.least > 0 else np.linspace
        for budget in between(self._standard, self.least, count + 1)[1:]:
            choice = self._within(float(budget))
            if choice is not None and (not found or choice.offers != found[-1].offers):
                found.append(choice)
        return [self._planned(each) for each in found]

    def loss(self, replaced: Mapping[str, Replacement]) -> float:
        """What any plan is predicted to lose. Raises KeyError for sizes that are not among the offers."""
        offers = {(name, each.replacement): each.loss for name, found in self._offers.items() for each in found}
        return sum(offers[name, replacement] for name, replacement in replaced.items())

    def said(self, cost: float) -> str:
        """A cost in words."""
        return f"{1000 * cost:.3g} ms" if self._costs.unit == "seconds" else f"{cost:,.0f} {self._costs.unit}"

    def _offers_of(self, layers: Layers, name: str) -> list[Offer]:
        """What a layer can become."""
        conv, worth = layers.conv(name), self._worth.get(name, 0.0)
        errors: dict[str, Tensor] = {}
        found = []
        for replacement, cost in self._costs.of(name).items():
            error = 0.0
            if replacement is not None:
                if replacement.form not in errors:
                    errors[replacement.form] = FORMS[replacement.form].errors(conv.weight)
                error = max(0.0, error_at(errors[replacement.form], replacement.sizes))  # what rounding leaves of none
            self._errors[name, replacement] = error
            found.append(Offer(replacement, cost, 0.0 if replacement is None else loss_of(worth, replacement, error)))
        return found

    def _within(self, budget: float) -> Choice | None:
        """The best choice; what does not add up (memory that waits on the weights of all layers) is corrected for."""
        found: Choice | None = None
        beside = self.least - least(self._offers)
        for _ in range(AGAIN):
            choice = best(self._offers, budget - beside)
            if choice is None:
                return found
            total = self._costs.total(choice.replaced)
            if total <= budget * (1 + ROUNDING) and (found is None or choice.loss < found.loss):
                found = choice
            if total - choice.cost == beside:
                return found
            beside = total - choice.cost
        return found

    def _planned(self, choice: Choice) -> Planned:
        cost = self._costs.total(choice.replaced)
        reasons = {name: self._reason(name, offer) for name, offer in choice.offers.items()}
        errors = {name: self._errors[name, each] for name, each in choice.replaced.items()}
        module, shape = self._network.module, self._network.input.shape
        plan = make_plan(module, shape, choice.replaced, reasons=reasons, errors=errors)
        return Planned(plan, cost, cost / self._standard, choice.loss, choice.bound)

    def _reason(self, name: str, offer: Offer) -> str:
        """What an offer costs and loses, and the best one of another form that costs no more."""
        offers = self._offers[name]
        kept = next(each for each in offers if each.replacement is None)
        form = offer.replacement.form if offer.replacement else None
        others = [
            each
            for each in offers
            if each.cost <= offer.cost and (each.replacement.form if each.replacement else None) != form
        ]
        said = f"{self.said(offer.cost)} of {self.said(kept.cost)}, loss {offer.loss:.3g}"
        if not others:
            return said
        second = min(others, key=lambda each: (each.loss, each.cost))
        called = "kept" if second.replacement is None else _called(second.replacement)
        return f"{said}; next {called}: {self.said(second.cost)}, {second.loss:.3g}"


def _called(replacement: Replacement) -> str:
    return f"{replacement.form} {FORMS[replacement.form].describe(replacement.sizes)}"


def _replaced(offers: Mapping[str, Offer]) -> dict[str, Replacement]:
    return {name: each.replacement for name, each in offers.items() if each.replacement is not None}


def loss_of(worth: float, replacement: Replacement, error: float) -> float:
    """What a form of a layer is predicted to lose, in no unit: by what its output is worth and its kernel's error."""
    return worth**WORTH_POWER * FACTORS[replacement.form] * error


By = Literal["macs", "size"]


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
    cpu: str = "any"
    paced: bool = False

    def predictor(self, network: Network) -> Predictor:
        """What adds the times up. Raises BadInput where the file lacks them."""
        runtime = runtime_named(self.runtime).name
        series = read_times(Path(self.times)).series_of(
            runtime=runtime, precision=self.precision, device=self.device, threads=self.threads, cpu=self.cpu
        )
        return Predictor(network, series, "cold" if self.paced and not series.emulated else None)


def planner_for(
    network: Network, dataset: Dataset | None, what: By | Latency, *, progress: Progress = silent
) -> Planner:
    """The planner of a standard network by what it is to save: a latency, or "macs", or its "size" in parameters."""
    if dataset is None:
        raise BadInput("mixed forms need `data`, to see what each layer is worth")
    if isinstance(what, Latency):
        costs: Costs = Timed(what.predictor(network))
    else:
        costs = Counted(Layers(network), "MACs" if what == "macs" else "parameters")
    return Planner(network, dataset, costs, progress=progress)


@dataclass(frozen=True)
class Budget:
    """What a network may cost with mixed forms: a share of what it costs, or an amount (seconds, MACs, parameters)."""

    what: By | Latency
    share: float | None = None
    amount: float | None = None

    def __post_init__(self) -> None:
        if (self.share is None) == (self.amount is None):
            raise BadInput("a budget is either a share or an amount")
        if self.share is not None:
            check_share(self.share)
        elif self.amount is not None and not 0 < self.amount < float("inf"):
            raise BadInput(f"a budget of {self.amount:g}: give more than 0")

    @property
    def said(self) -> dict[str, Any]:
        """What a step says of it."""
        said: dict[str, Any] = {"share": self.share} if self.amount is None else {"amount": self.amount}
        if not isinstance(self.what, Latency):
            return {"of": self.what, **said}
        of = {field.name: getattr(self.what, field.name) for field in fields(Latency) if field.name != "times"}
        return {"of": "latency", **said, **of}


def plan_within(network: Network, dataset: Dataset | None, budget: Budget, *, progress: Progress = silent) -> Planned:
    """The plan of mixed forms that loses least within a budget.

    Raises BelowAsked if there is none, BadInput for a network that is within it as it is.
    """
    planner = planner_for(network, dataset, budget.what, progress=progress)
    wanted = planner.standard * (budget.share or 1.0) if budget.amount is None else budget.amount
    found = planner.within(wanted)
    if not found.plan.compresses:
        raise BadInput(f"{network}: takes {planner.said(planner.standard)} as it is, which is within the budget")
    return found
