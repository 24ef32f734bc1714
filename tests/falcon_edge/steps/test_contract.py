"""Budgets that are measured: what is tried, what is learnt, and what comes out."""

import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from given_times import write_given_times

from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.steps.compress import compress
from falcon_edge.steps.planning.budgets import Budget, Latency
from falcon_edge.steps.planning.contract import ROUNDS, Clause, Round, broken, fulfil, in_words
from falcon_edge.steps.planning.frontier_page import Shown, frontier_page
from falcon_edge.steps.planning.planner import planner_for
from falcon_edge.steps.planning.trial import Drop, Figure, Outcome, Trial
from falcon_edge.steps.planning.verify import verify
from falcon_edge.training.recipe import Recipe
from runtime_bench.bench import Protocol

SHORT = Protocol(runs=5, seconds=0.0, processes=2, rounds=1, warm_up_seconds=0.0, ticks=1)
BRIEF = Recipe(epochs=1, learning_rate=0.02)


@pytest.fixture(scope="module")
def times(opened, tmp_path_factory):
    """Times of every form, and of a narrower network."""
    return write_given_times(opened[0], tmp_path_factory.mktemp("times") / "times.json", widths=(0.5,))


class Scripted:
    """A trial whose outcomes are given: what is lost for each unit of predicted loss, and how far times are off."""

    def __init__(self, planner, lost=1.0, off=1.0):
        self.planner, self.lost, self.off, self.tried = planner, lost, off, []

    def outcomes(self, networks, *, progress: Any = None):
        found = []
        for plan in networks:
            planned = next(each for each in self.planner.made if each.plan is plan)
            self.tried.append(planned)
            drop = Drop(self.lost * planned.loss, None, "top1", "points")
            seconds = self.off * planned.cost
            timed = Figure(seconds), Figure(seconds / self.planner.standard)
            found.append(Outcome(drop, *(timed if self.planner.unit == "seconds" else ())))
        return found


class Recording:
    """A planner that remembers its plans."""

    def __init__(self, planner):
        self.made, self._planner = [], planner
        self.standard, self.unit = planner.standard, planner.unit

    def within(self, budget):
        self.made.append(self._planner.within(budget))
        return self.made[-1]

    def compressing(self, budget):
        self.made.append(self._planner.compressing(budget))
        return self.made[-1]

    def frontier(self):
        found = self._planner.frontier()
        self.made += found
        return found


def rounds_of(planner, budget, **script):
    """The rounds of a scripted trial, and what was tried, in order."""
    recording = Recording(planner)
    trial = Scripted(recording, **script)
    return fulfil(recording, trial, budget, lambda plan, _: plan), trial.tried


@pytest.fixture(scope="module")
def timed(opened, times):
    return planner_for(*opened, Latency(times, "litert", "fp32"))


# -- what is learnt --


def test_a_budget_that_holds_at_once_takes_one_round(timed, times):
    middle = (timed.standard + timed.least) / 2
    rounds, tried = rounds_of(timed, Budget(Latency(times, "litert", "fp32"), amount=middle, max_drop=1e6))
    assert (len(rounds), len(tried)) == (1, 1)
    assert rounds[0].kept
    assert [clause.limit for clause in rounds[0].clauses] == [middle, 1e6]


def test_times_that_are_off_are_made_up_for(timed, times):
    middle = (timed.standard + timed.least) / 2
    for share in (None, middle / timed.standard):
        limit = {"amount": middle} if share is None else {"share": share}
        budget = Budget(Latency(times, "litert", "fp32"), **limit, max_drop=1e6)
        rounds, tried = rounds_of(timed, budget, off=1.2)
        assert 1 < len(tried) <= ROUNDS
        assert tried[1].cost <= middle / 1.2 * (1 + 1e-9)
        assert rounds[0].kept
        assert rounds[0].cost <= middle * (1 + 1e-9)


def test_what_no_plan_makes_up_for_ends_with_the_nearest(timed, times):
    rounds, tried = rounds_of(
        timed, Budget(Latency(times, "litert", "fp32"), amount=timed.least * 1.01, max_drop=1e6), off=3.0
    )
    assert len(tried) <= ROUNDS
    assert not rounds[0].kept
    assert rounds[0].over == min(each.over for each in rounds)
    said = broken([each.said for each in rounds])
    assert "ms, and at most" in said
    assert ("the only plan" if len(rounds) == 1 else f"the best of {len(rounds)} plans") in said


def test_what_is_within_the_budget_as_it_is_is_no_plan(timed, times):
    dear = Budget(Latency(times, "litert", "fp32"), amount=2 * timed.standard, max_drop=1.0)
    with pytest.raises(BadInput, match="as it is, which is within the budget"):
        rounds_of(timed, dear)
    # Twice as fast as predicted, and too much lost: the standard network itself is no second plan.
    near = Budget(Latency(times, "litert", "fp32"), amount=0.9 * timed.standard, max_drop=0.0)
    _, tried = rounds_of(timed, near, off=0.5)
    assert all(each.plan.compresses for each in tried)


def test_a_drop_that_is_too_large_is_no_reason_to_be_slower_than_asked(timed, times):
    little = 1.05 * timed.least
    budget = Budget(Latency(times, "litert", "fp32"), amount=little, max_drop=0.0)
    rounds, tried = rounds_of(timed, budget, off=0.5)
    assert not rounds[0].kept
    assert tried[1].loss < tried[0].loss  # half the time was left: another plan was dared
    assert all(each.cost <= little * (1 + 1e-9) for each in rounds)


@pytest.mark.parametrize("lost", [0.0, 0.2, 5.0, 100.0])
def test_the_cheapest_that_keeps_a_drop_is_looked_for(by_macs, lost):
    rounds, tried = rounds_of(by_macs, Budget("macs", max_drop=1.0), lost=lost)
    assert 1 <= len(tried) <= ROUNDS
    assert len({each.cost for each in tried}) == len(tried)
    kept = [each for each in tried if lost * each.loss <= 1.0]
    assert rounds[0].kept == bool(kept)
    if kept:
        assert rounds[0].planned.cost == min(each.cost for each in kept)
    else:
        assert rounds[0].planned.loss == min(each.loss for each in tried)


def test_what_is_counted_needs_one_round(by_macs):
    rounds, tried = rounds_of(by_macs, Budget("macs", share=0.5, max_drop=0.0), lost=1.0)
    assert len(tried) == 1
    assert [clause.what for clause in rounds[0].clauses] == ["MACs", "drop by top1"]
    assert [clause.kept for clause in rounds[0].clauses] == [True, False]


def test_how_far_a_limit_is_missed_is_told_for_limits_of_any_size():
    def over(limit, value, drop):
        latency, dropped = Clause("latency", "s", limit, Figure(value)), Clause("drop", "points", 1.0, Figure(drop))
        return Round(None, None, value, latency, dropped).over

    assert over(1e-4, 2e-4, 1.1) == pytest.approx(2.0)  # a network of microseconds
    assert over(1e-4, 1.05e-4, 1.1) == pytest.approx(1.1)
    assert Round(None, None, 0.0, None, Clause("drop", "points", 0.0, Figure(0.5))).over > 100


# -- what is measured --


def test_a_drop_is_that_of_the_same_images(opened):
    network, dataset = opened
    with Trial(network, dataset) as trial:
        (same,) = trial.outcomes([network])
        assert (same.drop.value, same.drop.interval, same.latency, same.share) == (0.0, (0.0, 0.0), None, None)
        worse = compress(network, replace(dataset, test=None), rank=1)
        (found,) = trial.outcomes([worse])
    quality = compress(network, dataset, rank=1).quality[0]
    with Trial(network, dataset) as trial:
        right = 100 * trial.outcomes([network])[0].drop.value
    assert right == 0
    assert found.drop.metric == quality.metric
    assert found.drop.interval[0] <= found.drop.value <= found.drop.interval[1]


def test_without_targets_a_drop_is_decisions_that_changed(opened):
    network, dataset = opened
    bare = replace(dataset, train=None, val=None, test=replace(dataset.test, targets=None))
    with Trial(network, bare) as trial:
        (same,) = trial.outcomes([network])
    assert (same.drop.value, same.drop.metric) == (0.0, "same:logits")


def test_files_are_measured_beside_the_original(opened, times):
    network, dataset = opened
    small = compress(network, replace(dataset, test=None), rank=1)
    for precision in ("fp32", "int8"):
        latency = Latency(times, "litert", "fp32")
        latency = replace(latency, precision=precision) if precision == "fp32" else latency
        with Trial(network, dataset, latency, protocol=SHORT) as trial:
            (found,) = trial.outcomes([small])
            passing = replace(small)
            trial.outcomes([passing])
            seen = weakref.ref(passing)
            del passing
            assert seen() is not None  # or the next network may be taken for it
        assert found.latency.interval[0] <= found.latency.value <= found.latency.interval[1]
        assert 0 < found.share.value < 10
        assert -100 <= found.drop.value <= 100


def test_a_contract_is_in_the_step_of_what_it_made(opened):
    network, dataset = opened
    small = compress(network, dataset, budget=Budget("macs", share=0.6, max_drop=100.0), recipe=BRIEF)
    assert small.plan.planned_macs <= 0.6 * small.plan.macs
    assert small.step.options["budget"] == {"of": "macs", "share": 0.6, "max_drop": 100.0}
    (only,) = small.step.options["contract"]
    assert broken([only]) is None
    assert in_words(only["clauses"][0]) == f"MACs {small.plan.planned_macs:,}"
    assert "points (95%: " in in_words(only["clauses"][1])
    assert small.step.options["epochs"] == 1
    assert small.training is not None


def test_what_cannot_be_measured_is_refused_before_anything_is_tuned(opened):
    network, dataset = opened
    with pytest.raises(BadInput, match="has no test split"):
        compress(network, replace(dataset, test=None), budget=Budget("macs", max_drop=1.0), recipe=BRIEF)
    with pytest.raises(BadInput, match="mixed forms need `data`"):
        compress(network, None, budget=Budget("macs", max_drop=1.0))
    with pytest.raises(BelowAsked, match="no plan comes down to 1 MACs"):
        compress(network, dataset, budget=Budget("macs", amount=1.0, max_drop=1.0))


def test_plans_are_verified_in_turns(opened, by_macs):
    network, dataset = opened
    plans = by_macs.frontier(6)
    found = verify(network, dataset, plans, 2, BRIEF)
    assert [*found] == [0, len(plans) - 1]
    assert all(np.isfinite(each.drop.value) for each in found.values())


def test_a_page_has_every_plan_its_reasons_and_what_was_measured(opened, by_macs):
    network, _ = opened
    drop = Drop(0.5, (0.25, 0.75), "top1", "points")
    plans = [
        Shown(f"plan-{number}", each, Outcome(drop, share=Figure(0.4)) if number == 1 else None)
        for number, each in enumerate(by_macs.frontier(3))
    ]
    page = frontier_page(network, by_macs, plans, [Shown("FALCON, rank 1", by_macs.falcon(1))])
    reason = plans[0].planned.plan.layers[2].reason.partition(";")[0]
    for said in ("plan-0", "plan-2", "FALCON, rank 1", "Verified plans", "40%", "0.5 points", reason):
        assert said in page
    assert "Verified plans" not in frontier_page(network, by_macs, plans[:1], [])
