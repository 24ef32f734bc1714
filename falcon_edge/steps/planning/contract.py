"""A budget that is measured: what was compressed is tried, and planned anew with what that teaches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from falcon_edge.errors import BelowAsked
from falcon_edge.falcon.plan import Plan
from falcon_edge.network import Network
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.planning.budgets import Budget, Latency
from falcon_edge.steps.planning.planner import Planned, Planner
from falcon_edge.steps.planning.trial import Figure, Outcome, Trial

ROUNDS = 3
FIRST = 0.35  # of what the network costs: the plan of the first round, where no budget says how much
FURTHER = (
    2.0  # how many times more predicted loss is tried after a round that kept the drop, or less after one that did not
)
LEAST_DROP = 1e-3  # what a network is taken to lose that loses nothing, in points


@dataclass(frozen=True)
class Clause:
    """At most `limit` of something in a unit, and what it came to."""

    what: str
    unit: str
    limit: float
    figure: Figure

    @property
    def kept(self) -> bool:
        """By the figure itself; the interval may reach beyond."""
        return self.figure.value <= self.limit

    @property
    def sure(self) -> bool:
        """Whether all of the interval is on that side."""
        interval = self.figure.interval
        return interval is None or (interval[1] <= self.limit if self.kept else interval[0] > self.limit)

    @property
    def said(self) -> dict[str, Any]:
        """For the bundle's lineage."""
        return {
            "what": self.what,
            "unit": self.unit,
            "limit": self.limit,
            "value": self.figure.value,
            "interval": None if self.figure.interval is None else list(self.figure.interval),
            "kept": self.kept,
            "sure": self.sure,
        }


@dataclass(frozen=True)
class Round:
    """A plan, the network that it made, and what that came to.

    cost: of the network as measured, as the plan's is. limited: what was asked of that, if anything was; dropped: of
    the quality.
    """

    planned: Planned
    network: Network
    cost: float
    limited: Clause | None
    dropped: Clause

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """All that was asked."""
        return (self.dropped,) if self.limited is None else (self.limited, self.dropped)

    @property
    def kept(self) -> bool:
        """Whether all is kept."""
        return all(clause.kept for clause in self.clauses)

    @property
    def over(self) -> float:
        """How many times a limit, at worst."""
        return max(each.figure.value / (each.limit or LEAST_DROP) for each in self.clauses)

    @property
    def drop(self) -> float:
        """What was lost."""
        return max(self.dropped.figure.value, LEAST_DROP)

    @property
    def said(self) -> dict[str, Any]:
        """For the bundle's lineage."""
        return {
            "predicted_cost": self.planned.cost,
            "predicted_loss": self.planned.loss,
            "clauses": [clause.said for clause in self.clauses],
        }


def fulfil(
    planner: Planner,
    trial: Trial,
    budget: Budget,
    make: Callable[[Plan, int], Network],
    *,
    progress: Progress = silent,
) -> tuple[Round, ...]:
    """Plan, make and measure networks until one keeps a budget with `max_drop`; the best comes first.

    make: (plan, number of the round) -> the compressed network. Within a share or an amount the first that keeps both
    is the best, and a round that does not teaches how far predictions of the cost are off; without, the cheapest that
    keeps the drop is, and rounds go on to learn how cheap that can be. Raises BelowAsked where no plan is within the
    budget.
    """
    rounds: list[Round] = []
    for number in range(ROUNDS):
        planned = _next(planner, budget, rounds)
        if planned is None:
            break
        network = make(planned.plan, number)
        (outcome,) = trial.outcomes([network], progress=progress)
        rounds.append(_round(planner, planned, budget, network, outcome))
        if rounds[-1].kept and budget.cost(planner.standard) is not None:
            break
    return tuple(sorted(rounds, key=lambda each: (not each.kept, each.cost if each.kept else each.over)))


def broken(rounds: Sequence[dict[str, Any]]) -> str | None:
    """What was not kept, in words, of rounds as a bundle has them; None: all was."""
    lost = [clause for clause in rounds[0]["clauses"] if not clause["kept"]]
    if not lost:
        return None
    said = "; ".join(f"{in_words(each)}, and at most {_number(each['limit'], each['unit'])} was asked" for each in lost)
    tried = "the only plan that was tried" if len(rounds) == 1 else f"the best of {len(rounds)} plans that were tried"
    return f"{said} ({tried})"


def in_words(clause: dict[str, Any]) -> str:
    """A clause as a bundle has it."""
    value = _number(clause["value"], clause["unit"])
    if clause["interval"] is None:
        return f"{clause['what']} {value}"
    low, high = (_number(end, clause["unit"]) for end in clause["interval"])
    return f"{clause['what']} {value} (95%: {low} to {high})"


def _number(value: float, unit: str) -> str:
    if unit == "s":
        return f"{1000 * value:.3g} ms"
    if unit == "share":
        return f"{100 * value:.3g}%"
    return f"{value:{',.0f' if abs(value) >= 1000 else '.3g'}} {unit}".strip()


def _round(planner: Planner, planned: Planned, budget: Budget, network: Network, outcome: Outcome) -> Round:
    """What a network that was measured came to, beside what was asked of it."""
    drop, latency, share = outcome.drop, outcome.latency, outcome.share
    cost, limited = planned.cost, None
    if latency is not None and share is not None:
        cost = latency.value
        if budget.share is not None:
            limited = Clause("share of the latency", "share", budget.share, share)
        elif budget.amount is not None:
            limited = Clause("latency", "s" if planner.unit == "seconds" else planner.unit, budget.amount, latency)
    elif (limit := budget.cost(planner.standard)) is not None:
        limited = Clause(planner.unit, "", limit, Figure(planned.cost))
    assert budget.max_drop is not None
    return Round(planned, network, cost, limited, Clause(f"drop by {drop.metric}", drop.unit, budget.max_drop, drop))


def _next(planner: Planner, budget: Budget, rounds: Sequence[Round]) -> Planned | None:
    """The plan of the next round; None: nothing that was learnt leads to another one."""
    limit = budget.cost(planner.standard)
    if limit is None:
        return _cheaper(planner, budget, rounds)
    if not rounds:
        return planner.compressing(limit)
    last = rounds[-1]
    if not isinstance(budget.what, Latency) or last.limited is None:
        return None  # what is counted is what was predicted
    predicted = last.planned.share if budget.share is not None else last.planned.cost
    try:
        found = planner.within(limit * predicted / last.limited.figure.value)
    except BelowAsked:
        return None
    if not found.plan.compresses:
        return None
    return None if any(found.plan == each.planned.plan for each in rounds) else found


def _cheaper(planner: Planner, budget: Budget, rounds: Sequence[Round]) -> Planned | None:
    """The cheapest plan of the frontier whose loss is allowed, by what drops so far say of a predicted loss."""
    plans = [each for each in planner.frontier() if each.plan.compresses]
    if not plans:
        return None
    if not rounds:
        return min(plans, key=lambda each: abs(each.share - FIRST))
    assert budget.max_drop is not None
    scale = sum(each.drop for each in rounds) / max(sum(each.planned.loss for each in rounds), LEAST_DROP)
    kept = [each.planned for each in rounds if each.kept]
    others = [each.planned for each in rounds if not each.kept]
    allowed = budget.max_drop / scale
    if kept:
        allowed = min(allowed, FURTHER * max(each.loss for each in kept))
        plans = [each for each in plans if each.cost < min(known.cost for known in kept)]
    if others:
        allowed = max(allowed, min(each.loss for each in others) / FURTHER) if not kept else allowed
        plans = [each for each in plans if each.cost > max(known.cost for known in others)]
    within = [each for each in plans if each.loss <= allowed] or plans[:1]
    return min(within, key=lambda each: each.cost, default=None)
