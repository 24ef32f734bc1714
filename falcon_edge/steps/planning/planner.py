"""plan: for every layer the form that loses least within what the whole network may cost."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from math import log

import numpy as np
from torch import Tensor

from converters.silence import STDOUT, silenced
from falcon_edge.data import Dataset, open_dataset
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Replacement, error_at
from falcon_edge.falcon.forward import full_precision
from falcon_edge.falcon.narrow import NARROW, Narrower, Narrowing
from falcon_edge.falcon.plan import Plan, make_plan, uniform_plan
from falcon_edge.falcon.search import Offer, Solution, best, least
from falcon_edge.falcon.sensitivity import sensitivities
from falcon_edge.network import Network
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.planning.budgets import Budget, By, Costs, Latency, costs_of
from falcon_edge.training.images import Images

IMAGES, BATCH = 256, 32  # by which layers are weighed
CHOSEN_BY = 128  # images by which channels are chosen: covariances of patches take longest
COUNT, DOWN_TO = 20, 0.05  # plans of a frontier, and the share of the cost that the last one has
# What a form's error costs once the network is tuned, fitted to 58 plans of two networks (docs/plans.md).
FACTORS = {
    "falcon": 0.41,
    "dsconv": 0.52,
    "tucker2": 0.62,
    "lowrank_in": 0.71,
    "lowrank_out": 1.04,
    "spatial": 0.52,
    NARROW: 0.72,
}
WORTH_POWER = 0.5  # likewise: what differs by much counts by less
SHRUNK = 1.60  # likewise: what a network loses whose layers all have shrunk by a factor of e, however well they fit


@dataclass(frozen=True)
class Planned:
    """A plan, what the network costs and loses with it by prediction, and the least loss of all plans of its cost.

    width: the share of its channels that every group keeps.
    """

    plan: Plan
    cost: float
    share: float
    loss: float
    bound: float
    width: float


class Planner:
    """Plans of one network on one device: offers are made once, and every budget is solved on them."""

    @full_precision()
    def __init__(self, network: Network, dataset: Dataset, costs: Costs, *, progress: Progress = silent):
        """dataset: has the network's classes; its training images are looked at, without labels."""
        self._network, self._costs, self._standard = network, costs, costs.total({})
        if self._standard <= 0:
            raise BadInput(f"{network}: takes {self.said(self._standard)} by these times; time its layers anew")
        module, shape = network.module, network.input.shape
        images = Images(dataset.first("train", "val", "test")[1], network.input)
        progress(0, 1, "what layers are worth")
        seen = images.unlabelled(BATCH, IMAGES)
        narrower = None
        if costs.widths:
            with suppress(BadInput):  # it has no channels that could go
                narrower = Narrower(module, shape, batches=images.unlabelled(BATCH, CHOSEN_BY))
        weighed = dict.fromkeys([*costs.layers.convs, *(narrower.readers if narrower else ())])
        worth = sensitivities(module, weighed, seen, decides=network.is_classifier)
        self._versions = [_Version(costs, worth, progress)]
        for width in costs.widths:
            if narrower is None:
                break
            narrowing = narrower.even(width)
            its = costs.narrower(narrowing.coupled)
            if its is not None:
                self._versions.append(_Version(its, worth, progress, width, narrowing, costs))
        progress(1, 1, "forms of all layers")

    @property
    def unit(self) -> str:
        """Of costs."""
        return self._costs.unit

    @property
    def standard(self) -> float:
        """What the network costs as it is."""
        return self._standard

    @property
    def least(self) -> float:
        """What it costs at least, at the width where that is least."""
        return min(version.least for version in self._versions)

    def within(self, budget: float) -> Planned:
        """The plan that loses least at a cost of at most `budget`. Raises BelowAsked if there is none."""
        found = self._within(budget)
        if found is None:
            raise BelowAsked(
                f"{self._network}: no plan comes down to {self.said(budget)}: the cheapest forms leave "
                f"{self.said(self.least)}, {100 * self.least / self._standard:.3g}% of what it is"
            )
        return self._planned(found)

    def compressing(self, budget: float) -> Planned:
        """As `within`. Raises BadInput for a budget that the network keeps to as it is."""
        found = self.within(budget)
        if not found.plan.compresses:
            raise BadInput(f"{self._network}: takes {self.said(self._standard)} as it is, which is within the budget")
        return found

    def frontier(self, count: int = COUNT, down_to: float = DOWN_TO) -> list[Planned]:
        """The best plans at `count` costs, evenly apart in ratio, the dearest first.

        The last has at most the share `down_to` of what the network costs, or the least that there is.
        """
        last = max(self.least, down_to * self._standard)
        between = np.geomspace if last > 0 else np.linspace
        found: list[_Found] = []
        for budget in between(self._standard, last, count + 1)[1:]:
            each = self._within(float(budget))
            if each is not None and (not found or each.plan != found[-1].plan):
                found.append(each)
        return [self._planned(each) for each in found]

    def falcon(self, rank: int) -> Planned | None:
        """FALCON of one rank in every layer: what there was before plans. None where that was not timed."""
        try:
            plan = uniform_plan(self._network.module, self._network.input.shape, rank)
            cost, loss = self._costs.total(plan.replaced), self.loss(plan.replaced)
        except BadInput:
            return None
        within = self._within(cost)
        return Planned(plan, cost, cost / self._standard, loss, loss if within is None else within.bound, 1.0)

    def loss(self, replaced: Mapping[str, Replacement]) -> float:
        """What any forms are predicted to lose, with all channels."""
        return self._versions[0].loss(replaced)

    def said(self, cost: float) -> str:
        """A cost in words."""
        return f"{1000 * cost:.3g} ms" if self._costs.unit == "seconds" else f"{cost:,.0f} {self._costs.unit}"

    def _within(self, budget: float) -> "_Found | None":
        """The best of all widths, and of equal ones the widest."""
        found = [each for version in self._versions if (each := version.within(budget)) is not None]
        if not found:
            return None
        best_of = min(found, key=lambda each: each.loss)
        return replace(best_of, bound=min(each.bound for each in found))

    def _planned(self, found: "_Found") -> Planned:
        version, solution = found.version, found.solution
        reasons = {name: self._reason(version.offers[name], offer) for name, offer in solution.offers.items()}
        errors = {name: version.error_of(name, each) for name, each in solution.replaced.items()}
        module, shape, coupled = self._network.module, self._network.input.shape, version.coupled
        plan = make_plan(module, shape, solution.replaced, reasons=reasons, errors=errors, coupled=coupled)
        return Planned(plan, solution.cost, solution.cost / self._standard, found.loss, found.bound, version.width)

    def _reason(self, offers: Sequence[Offer], offer: Offer) -> str:
        """What an offer costs and loses, and the best one of another form that costs no more."""
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


@dataclass(frozen=True)
class _Found:
    """A solution at one width, what it loses with what being narrower loses, and what no choice loses less than."""

    version: "_Version"
    solution: Solution
    loss: float
    bound: float

    @property
    def plan(self) -> tuple[float, dict[str, Replacement]]:
        """What tells it from another."""
        return self.version.width, self.solution.replaced


class _Version:
    """A network at one width: what its layers can become, and what it loses by being narrower."""

    def __init__(
        self,
        costs: Costs,
        worth: Mapping[str, float],
        progress: Progress,
        width: float = 1.0,
        narrowing: Narrowing | None = None,
        original: Costs | None = None,
    ):
        """costs: of the network at this width; original: at full width. narrowing: the channels that it lacks."""
        self.costs, self.width, self._worth = costs, width, worth
        self.coupled = () if narrowing is None else narrowing.coupled
        lost = () if narrowing is None else narrowing.errors.items()
        whole = (costs if original is None else original).layers.weights
        self._shrinks = SHRUNK / len(whole)  # each layer by a factor of e
        self._lost = sum(loss_of(worth.get(name, 0.0), NARROW, error) for name, error in lost)
        self._lost += self._shrinks * sum(shrunk(whole[name], left) for name, left in costs.layers.weights.items())
        self._errors: dict[tuple[str, str], Tensor] = {}
        self.offers: dict[str, list[Offer]] = {}
        layers = [*costs.layers.convs]
        for number, name in enumerate(layers):
            at = "" if narrowing is None else f", {100 * width:.3g}% of the channels"
            progress(number, len(layers), f"forms of {name}{at}")
            self.offers[name] = self._offers_of(name)

    @cached_property
    def least(self) -> float:
        """What it costs at least."""
        with silenced(STDOUT):  # as `within`
            return least(self.offers, self.costs.rest)

    def within(self, budget: float) -> _Found | None:
        """The best solution within a budget."""
        with silenced(STDOUT):  # the solver prints there now and then, and has no switch for that
            found = best(self.offers, budget, self.costs.rest)
        return None if found is None else _Found(self, found, found.loss + self._lost, found.bound + self._lost)

    def loss(self, replaced: Mapping[str, Replacement]) -> float:
        """What forms lose, with what being narrower does."""
        return self._lost + sum(self._loss_of(name, each) for name, each in replaced.items())

    def error_of(self, name: str, replacement: Replacement) -> float:
        """Of a layer's kernel."""
        key = name, replacement.form
        if key not in self._errors:
            self._errors[key] = FORMS[replacement.form].errors(self.costs.layers.conv(name).weight)
        return max(0.0, error_at(self._errors[key], replacement.sizes))  # what rounding leaves of none

    def _offers_of(self, name: str) -> list[Offer]:
        """What a layer can become."""
        return [
            Offer(each, cost, 0.0 if each is None else self._loss_of(name, each), self.costs.weights(name, each))
            for each, cost in self.costs.of(name).items()
        ]

    def _loss_of(self, name: str, replacement: Replacement) -> float:
        layers = self.costs.layers
        smaller = shrunk(layers.parameters_at(name, None), layers.parameters_at(name, replacement))
        fitted = loss_of(self._worth.get(name, 0.0), replacement.form, self.error_of(name, replacement))
        return fitted + self._shrinks * smaller


def _called(replacement: Replacement) -> str:
    return f"{replacement.form} {FORMS[replacement.form].describe(replacement.sizes)}"


def loss_of(worth: float, form: str, error: float) -> float:
    """What a form of a layer is predicted to lose, in no unit: by what its output is worth and its kernel's error."""
    return worth**WORTH_POWER * FACTORS[form] * error


def shrunk(weights: int, left: int) -> float:
    """How far a layer has shrunk: the logarithm of the ratio, 0 for one that has not."""
    return max(0.0, log(weights / left))


def planner_for(
    network: Network, dataset: Dataset | str | None, what: By | Latency, *, progress: Progress = silent
) -> Planner:
    """The planner of a standard network by what it is to save: a latency, or "macs", or its "size" in parameters."""
    if dataset is None:
        raise BadInput("mixed forms need `data`, to see what each layer is worth")
    return Planner(network, open_dataset(dataset), costs_of(network, what), progress=progress)


def plan_within(network: Network, dataset: Dataset | None, budget: Budget, *, progress: Progress = silent) -> Planned:
    """The plan of mixed forms that loses least within a budget.

    Raises BelowAsked if there is none, BadInput for a network that is within it as it is.
    """
    planner = planner_for(network, dataset, budget.what, progress=progress)
    wanted = budget.cost(planner.standard)
    if wanted is None:
        raise BadInput("`max_drop` alone is found out by tuning: it makes no plan without")
    return planner.compressing(wanted)
