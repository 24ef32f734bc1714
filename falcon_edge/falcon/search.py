"""The best plan within a budget: for every layer one of its offers, chosen exactly (a multiple-choice knapsack)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from falcon_edge.falcon.forms.form import Replacement

FEASIBLE = 1e-6  # of the scale of a constraint: what the solver lets pass
ROUNDING = 1e-9


@dataclass(frozen=True)
class Offer:
    """What a layer can become (None: it is kept), what that costs, in the budget's unit, and the loss that it adds."""

    replacement: Replacement | None
    cost: float
    loss: float


@dataclass(frozen=True)
class Choice:
    """An offer for every layer, what they cost and lose together, and the least loss that any choice could have."""

    offers: Mapping[str, Offer]
    cost: float
    loss: float
    bound: float

    @property
    def replaced(self) -> dict[str, Replacement]:
        """What stands in the place of every layer that is replaced."""
        return {name: each.replacement for name, each in self.offers.items() if each.replacement is not None}


def useful(offers: Iterable[Offer]) -> list[Offer]:
    """Those of a layer's offers that no other one beats in both cost and loss, the cheapest first."""
    found: list[Offer] = []
    for each in sorted(offers, key=lambda offer: (offer.cost, offer.loss)):
        if not found or each.loss < found[-1].loss:
            found.append(each)
    return found


def least(offers: Mapping[str, Sequence[Offer]]) -> float:
    """What the cheapest choice costs."""
    return sum(min(offer.cost for offer in each) for each in offers.values())


def best(offers: Mapping[str, Sequence[Offer]], budget: float) -> Choice | None:
    """The choice of the least loss that costs at most `budget`; None where there is none.

    Solved exactly by branch and bound (HiGHS); of equal ones always the same.
    """
    layers = {name: useful(each) for name, each in offers.items()}
    cheapest = {name: each[0] for name, each in layers.items()}
    if least(layers) > budget + ROUNDING * abs(budget):
        return None
    for slack in (0.0, 2 * FEASIBLE):
        solved = _solved(layers, budget, slack)
        if solved is not None and _sum(solved[0], "cost") <= budget + ROUNDING * abs(budget):
            chosen, bound = solved
            return Choice(chosen, _sum(chosen, "cost"), _sum(chosen, "loss"), min(bound, _sum(chosen, "loss")))
    loss = _sum(cheapest, "loss")  # nothing but the cheapest is that cheap
    return Choice(cheapest, least(layers), loss, loss)


def _sum(offers: Mapping[str, Offer], what: str) -> float:
    return sum(getattr(each, what) for each in offers.values())


def _solved(
    layers: Mapping[str, Sequence[Offer]], budget: float, slack: float
) -> tuple[dict[str, Offer], float] | None:
    """The best offers as the solver has them, which may cost FEASIBLE more than is asked for, and its bound.

    slack: a share of the budget that is not to be spent.
    """
    flat = [(number, offer) for number, each in enumerate(layers.values()) for offer in each]
    if not flat:
        return {}, 0.0
    rows, columns = np.array([number for number, _ in flat]), np.arange(len(flat))
    one_each = csr_array((np.ones(len(flat)), (rows, columns)), shape=(len(layers), len(flat)))
    costs, losses = (np.array([getattr(offer, name) for _, offer in flat]) for name in ("cost", "loss"))
    # The solver's tolerances are absolute, while costs are seconds or cycles, and losses anything.
    tiny = np.finfo(float).tiny
    scale, worth = max(abs(budget), np.abs(costs).max(), tiny), max(np.abs(losses).max(), tiny)
    solved = milp(
        losses / worth,
        integrality=np.ones(len(flat)),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_each, 1, 1),
            LinearConstraint(costs[None] / scale, ub=budget / scale - slack),
        ],
        options={"mip_rel_gap": 0.0},
    )
    if solved.x is None:
        return None
    chosen = dict(zip(layers, (flat[column][1] for column in np.flatnonzero(solved.x > 0.5)), strict=True))
    return chosen, float(solved.mip_dual_bound) * worth
