"""The best plan within a budget: for every layer one of its offers, chosen exactly (a multiple-choice knapsack)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from falcon_edge.falcon.forms.form import Replacement

FEASIBLE = 1e-6  # of the scale of a constraint: what the solver lets pass
ROUNDING = 1e-9
NUMBERS = "cost", "loss", "weights"


@dataclass(frozen=True)
class Offer:
    """What a layer can become (None: it is kept), what that costs, in the budget's unit, and the loss that it adds.

    weights: what the cost of the rest of the network depends on.
    """

    replacement: Replacement | None
    cost: float
    loss: float
    weights: float = 0.0


@dataclass(frozen=True)
class Rest:
    """What a network costs beside its layers, by the sum of their weights: lines between points, level beyond them.

    More weights never cost less.
    """

    weights: tuple[float, ...] = (0.0,)
    costs: tuple[float, ...] = (0.0,)

    def at(self, weights: float) -> float:
        """With so many weights."""
        return float(np.interp(weights, self.weights, self.costs))

    def pieces(self) -> Iterator["Piece"]:
        """Each has a most of weights, up to which it is no less than the rest; where it belongs it is the same."""
        points = [*zip(self.weights, self.costs, strict=True)]
        for (one, low), (other, high) in pairwise(points):
            if high > low:
                yield Piece(other, low, one, (high - low) / (other - one))
        yield Piece(inf, points[-1][1], points[-1][0], 0.0)


@dataclass(frozen=True)
class Piece:
    """Of a rest, with at most `most` weights: `low`, and from `start` on as much more for each."""

    most: float
    low: float
    start: float
    slope: float


@dataclass(frozen=True)
class Solution:
    """An offer for every layer, what the network costs and loses, and the least loss that any choice could have."""

    offers: Mapping[str, Offer]
    cost: float
    loss: float
    bound: float

    @property
    def replaced(self) -> dict[str, Replacement]:
        """What stands in the place of every layer that is replaced."""
        return {name: each.replacement for name, each in self.offers.items() if each.replacement is not None}


def useful(offers: Iterable[Offer]) -> list[Offer]:
    """Those of a layer's offers that no other one beats in cost, loss and weights, the cheapest first."""
    found: list[Offer] = []
    for each in sorted(offers, key=lambda offer: (offer.cost, offer.loss, offer.weights)):
        if not any(one.loss <= each.loss and one.weights <= each.weights for one in found):
            found.append(each)
    return found


def least(offers: Mapping[str, Sequence[Offer]], rest: Rest | None = None) -> float:
    """What the network costs at least."""
    rest = rest or Rest()
    return _total(_cheapest({name: useful(each) for name, each in offers.items()}, rest), rest)


def best(offers: Mapping[str, Sequence[Offer]], budget: float, rest: Rest | None = None) -> Solution | None:
    """The solution of the least loss with which the network costs at most `budget`; None where there is none.

    Solved exactly by branch and bound (HiGHS), once for every piece of the rest; of equal ones always the same.
    """
    rest = rest or Rest()
    layers = {name: useful(each) for name, each in offers.items()}
    found = [each for piece in rest.pieces() if (each := _within(layers, budget, rest, piece)) is not None]
    if not found:
        cheapest = _cheapest(layers, rest)
        if not _fits(_total(cheapest, rest), budget):
            return None
        found = [(cheapest, _sum(cheapest, "loss"))]  # nothing else is that cheap
    chosen, _ = min(found, key=lambda each: _sum(each[0], "loss"))
    loss = _sum(chosen, "loss")
    return Solution(chosen, _total(chosen, rest), loss, min(loss, *(bound for _, bound in found)))


def _cheapest(layers: Mapping[str, Sequence[Offer]], rest: Rest) -> dict[str, Offer]:
    """The offers with which the network costs least: not always the cheapest of every layer, for the rest waits."""
    found = [{name: min(each, key=_cheap) for name, each in layers.items()}]
    dearest = sum(max(abs(offer.cost) for offer in each) for each in layers.values()) + max(map(abs, rest.costs))
    sloping = [piece for piece in rest.pieces() if piece.slope > 0]
    for piece in (*sloping, *(Piece(each.start, each.low, each.start, 0.0) for each in sloping)):
        solved = _solved(layers, dearest, piece, 0.0, cost=True)
        found += [] if solved is None else [solved[0]]
    return min(found, key=lambda each: _total(each, rest))


def _within(
    layers: Mapping[str, Sequence[Offer]], budget: float, rest: Rest, piece: Piece
) -> tuple[dict[str, Offer], float] | None:
    """The best offers by one piece of the rest, and what no choice by it loses less than."""
    for slack in (0.0, 2 * FEASIBLE):
        solved = _solved(layers, budget, piece, slack)
        if solved is not None and _fits(_total(solved[0], rest), budget):
            return solved
    return None


def _fits(cost: float, budget: float) -> bool:
    return cost <= budget + ROUNDING * abs(budget)


def _cheap(offer: Offer) -> tuple[float, float, float]:
    return offer.cost, offer.weights, offer.loss


def _total(offers: Mapping[str, Offer], rest: Rest) -> float:
    return _sum(offers, "cost") + rest.at(_sum(offers, "weights"))


def _sum(offers: Mapping[str, Offer], what: str) -> float:
    return sum(getattr(each, what) for each in offers.values())


def _solved(
    layers: Mapping[str, Sequence[Offer]], budget: float, piece: Piece, slack: float, *, cost: bool = False
) -> tuple[dict[str, Offer], float] | None:
    """The best offers as the solver has them, which may cost FEASIBLE more than is asked for, and its bound.

    slack: a share of the budget that is not to be spent. cost: the best are those that cost least where the
    piece is the rest, instead of those that lose least.
    """
    flat = [(number, offer) for number, each in enumerate(layers.values()) for offer in each]
    left = budget - piece.low
    if not flat:
        return ({}, 0.0) if left >= -ROUNDING * abs(budget) else None
    rows, columns = np.array([number for number, _ in flat]), np.arange(len(flat))
    one_each = csr_array((np.ones(len(flat)), (rows, columns)), shape=(len(layers), len(flat)))
    costs, losses, weights = (np.array([getattr(offer, name) for _, offer in flat]) for name in NUMBERS)
    losses = costs + piece.slope * weights if cost else losses
    # The solver's tolerances are absolute, while costs are seconds or cycles, and losses anything.
    tiny = np.finfo(float).tiny
    scale, worth = max(abs(budget), np.abs(costs).max(), tiny), max(np.abs(losses).max(), tiny)
    constraints = [LinearConstraint(one_each, 1, 1), LinearConstraint(costs[None] / scale, ub=left / scale - slack)]
    if piece.slope > 0:
        more = (costs + piece.slope * weights)[None] / scale
        constraints.append(LinearConstraint(more, ub=(left + piece.slope * piece.start) / scale - slack))
    if piece.most < inf:
        heaviest = max(weights.max(), tiny)
        start = piece.start / heaviest - FEASIBLE if cost and piece.slope > 0 else -inf
        constraints.append(LinearConstraint(weights[None] / heaviest, start, piece.most / heaviest + FEASIBLE))
    solved = milp(
        losses / worth,
        integrality=np.ones(len(flat)),
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"mip_rel_gap": 0.0},
    )
    if solved.x is None:
        return None
    chosen = dict(zip(layers, (flat[column][1] for column in np.flatnonzero(solved.x > 0.5)), strict=True))
    return chosen, float(solved.mip_dual_bound) * worth
