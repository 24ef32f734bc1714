"""Plans of mixed forms within a budget: of MACs, of parameters, of measured times."""

import os
from dataclasses import replace
from functools import partial

import pytest

from falcon_edge.cli.compress import _budget
from falcon_edge.cli.groups import OfLatency
from falcon_edge.documents import canonical_json, read_document
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.falcon.forms import FALCON
from falcon_edge.falcon.plan import Plan, share_plan, uniform_plan
from falcon_edge.falcon.search import best
from falcon_edge.steps.compress import compress
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.planning import planner
from falcon_edge.steps.planning.budgets import Budget, Latency
from falcon_edge.steps.planning.frontier import Verified, write_frontier
from falcon_edge.steps.planning.planner import planner_for
from falcon_edge.steps.times import TimesRequest, time_layers
from falcon_edge.times import Times, read_times
from falcon_edge.training.recipe import Recipe
from runtime_bench.turns import Turn

QUICK = Turn(runs=3, seconds=0.0, cold=1)


@pytest.mark.parametrize("share", [0.3, 0.4, 0.8])
def test_a_plan_keeps_to_its_macs_and_loses_least(opened, by_macs, share):
    network, _ = opened
    found = by_macs.within(share * by_macs.standard)
    assert found.plan.macs == by_macs.standard
    assert found.plan.planned_macs == found.cost <= share * found.plan.macs
    assert found.share == found.cost / found.plan.macs
    assert 0 <= found.bound <= found.loss
    for form in ("falcon", "tucker2", "spatial"):
        rival = share_plan(network.module, network.input.shape, share, form=form)
        assert found.loss <= by_macs.loss(rival.replaced) * (1 + 1e-9)


def test_a_plan_keeps_to_its_parameters(opened):
    planner = planner_for(*opened, "size")
    found = planner.within(0.5 * planner.standard)
    assert found.plan.parameters == planner.standard
    assert found.plan.planned_parameters == found.cost <= 0.5 * planner.standard


def test_what_the_solver_prints_is_in_no_ones_way(by_macs, monkeypatch, capfd):
    def chatty(*given):
        os.write(1, b"HighsMipSolverData")
        return best(*given)

    monkeypatch.setattr(planner, "best", chatty)
    assert by_macs.within(0.5 * by_macs.standard).plan.compresses
    assert capfd.readouterr().out == ""


def test_a_budget_of_the_standard_network_keeps_it(by_macs):
    found = by_macs.within(by_macs.standard)
    assert (found.plan.compresses, found.loss, found.share) == (False, 0.0, 1.0)


def test_a_budget_below_all_plans_is_refused_with_the_least_there_is(by_macs):
    with pytest.raises(
        BelowAsked, match=r"no plan comes down to 1 MACs: the cheapest forms leave [\d,]+ MACs, [\d.]+%"
    ):
        by_macs.within(1.0)
    assert by_macs.within(by_macs.least).cost == by_macs.least


def test_the_frontier_goes_from_dear_to_cheap(by_macs):
    found = by_macs.frontier(8, down_to=0.0)
    assert [each.cost for each in found] == sorted((each.cost for each in found), reverse=True)
    assert [each.loss for each in found] == sorted(each.loss for each in found)
    assert found[-1].cost == by_macs.least
    assert len({each.cost for each in found}) == len(found)
    assert 0 < by_macs.frontier(4, down_to=0.5)[-1].share <= 0.5


def test_reasons_say_what_a_form_costs_and_what_came_second(by_macs):
    plan = by_macs.within(0.6 * by_macs.standard).plan
    reasons = [layer.reason for layer in plan.layers if layer.replacement is not None]
    assert reasons
    assert all("MACs of" in reason and ", loss " in reason for reason in reasons)
    assert any("; next " in reason for reason in reasons)


def test_a_plan_is_read_again_and_compresses(opened, by_macs, tmp_path):
    network, dataset = opened
    made = by_macs.within(0.3 * by_macs.standard).plan
    path = tmp_path / "plan.json"
    path.write_bytes(canonical_json(made))
    assert read_document(path, Plan) == made
    small = compress(network, dataset, plan=path)
    assert small.plan.planned_macs == made.planned_macs
    assert small.plan.replaced == made.replaced


@pytest.fixture(scope="module")
def times(opened, tmp_path_factory):
    """Real times of FALCON at ranks 1 and 2."""
    network, _ = opened
    path = tmp_path_factory.mktemp("times") / "times.json"
    plans = [uniform_plan(network.module, network.input.shape, rank) for rank in (1, 2)]
    time_layers(network, path, TimesRequest("litert", plans=plans, rounds=1, turn=QUICK))
    return path


def changed(times, path, cost, whole=lambda network: 1e5):
    """The same file with other times of units, (unit) -> nanoseconds, and of networks."""
    series = tuple(
        each.model_copy(
            update={
                "networks": tuple(one.model_copy(update={"warm_ns": (whole(one),)}) for one in each.networks),
                "references": tuple(one.model_copy(update={"warm_ns": (0.0,)}) for one in each.references),
                "units": tuple(
                    one.model_copy(update={"warm_ns": (float(cost(one.unit)) * one.copies,)}) for one in each.units
                ),
            }
        )
        for each in read_times(times).series
    )
    path.write_bytes(canonical_json(Times(series=series)))
    return path


def test_times_decide_where_they_are_asked_for(opened, times, tmp_path):
    cost = {(): 900, (1,): 5000, (2,): 100}
    rank1_is_slow = changed(
        *(times, tmp_path / "times.json", lambda unit: cost[unit.sizes]),
        whole=lambda network: 1e5 + len(network.replaced) * (cost[(1,)] - cost[()]),  # all have the same rest
    )
    planner = planner_for(*opened, Latency(rank1_is_slow, "tflite", "fp32"))
    found = planner.within(planner.least)
    assert {layer.sizes for layer in found.plan.layers if layer.replacement} == {(2,)}
    assert len(found.plan.replaced) == 5
    again = planner_for(*opened, Latency(rank1_is_slow, "litert", "fp32")).within(planner.least)
    assert canonical_json(again.plan) == canonical_json(found.plan)
    assert planner.said(0.0012) == "1.2 ms"


def test_only_what_was_timed_is_offered(opened, times):
    for paced in (False, True):
        planner = planner_for(*opened, Latency(str(times), "litert", "fp32", paced=paced))
        for each in planner.frontier(4):
            assert {(layer.form, layer.sizes) for layer in each.plan.layers} <= {
                ("keep", ()),
                (FALCON.name, (1,)),
                (FALCON.name, (2,)),
            }


@pytest.mark.slow
def test_a_narrower_network_is_the_plan_where_nothing_else_is_as_fast(opened, tmp_path):
    network, dataset = opened
    path = tmp_path / "times.json"
    time_layers(network, path, TimesRequest("litert", widths=(0.5,), rounds=1, turn=QUICK))
    changed(path, path, lambda unit: 10, whole=lambda timed: 1e5 if timed.width is None else 5e4)
    planner = planner_for(network, dataset, Latency(path, "litert", "fp32"))
    found = planner.within(planner.least)
    assert (found.width, found.plan.replaced) == (0.5, {})
    assert found.plan.removed
    assert found.loss > 0
    small = compress(network, dataset, plan=found.plan)
    assert small.plan.planned_macs == found.plan.planned_macs < 0.5 * found.plan.macs
    counted = planner_for(network, dataset, "macs")
    assert {each.width for each in counted.frontier(6, 0.02)} > {1.0}


def test_what_was_not_timed_is_refused(opened, times):
    with pytest.raises(BadInput, match="no times of litert in int8; there are litert"):
        planner_for(*opened, Latency(times, "litert", "int8"))
    with pytest.raises(BadInput, match="on elsewhere"):
        planner_for(*opened, Latency(times, "litert", "fp32", device="elsewhere"))


def test_what_plans_cannot_save_is_refused(opened):
    with pytest.raises(BadInput, match="'flops' is nothing that plans save: give 'macs', 'size', or a Latency"):
        Budget("flops", share=0.5)
    with pytest.raises(BadInput, match="'latency' is nothing that plans save"):
        planner_for(*opened, "latency")


def test_mixed_forms_need_data(opened):
    with pytest.raises(BadInput, match="mixed forms need `data`"):
        planner_for(opened[0], None, "macs")


@pytest.mark.parametrize(
    ("budget", "problem"),
    [
        ({}, "a share, an amount, or `max_drop`"),
        ({"share": 0.5, "amount": 3.0}, "either a share or an amount"),
        ({"share": 1.5}, "a share of 1.5"),
        ({"amount": -1.0}, "a budget of -1: give more than 0"),
        ({"amount": float("nan")}, "a budget of nan"),
        ({"max_drop": -0.5}, "`max_drop` -0.5: give at least 0"),
        ({"share": 0.5, "max_drop": float("nan")}, "`max_drop` nan"),
    ],
)
def test_budgets_that_are_none_are_refused(budget, problem):
    with pytest.raises(BadInput, match=problem):
        Budget("macs", **budget)


def test_a_network_is_compressed_within_a_budget(opened, by_macs):
    network, dataset = opened
    small = compress(network, dataset, budget=Budget("macs", share=0.3))
    assert small.plan.planned_macs <= 0.3 * small.plan.macs
    assert small.plan.replaced == by_macs.within(0.3 * by_macs.standard).plan.replaced
    assert small.step.options["budget"] == {"of": "macs", "share": 0.3}
    with pytest.raises(BadInput, match=r"takes [\d,]+ MACs as it is, which is within the budget"):
        compress(network, dataset, budget=Budget("macs", amount=1e12))
    with pytest.raises(BelowAsked, match="no plan comes down to 5 MACs"):
        compress(network, dataset, budget=Budget("macs", amount=5.0))
    with pytest.raises(BadInput, match="give either `rank`"):
        compress(network, dataset, rank=1, budget=Budget("macs", share=0.3))


def test_a_step_says_of_what_a_latency_is(times):
    said = Budget(Latency(times, "litert", "int8", paced=True), amount=0.003).said
    assert said == {
        **{"of": "latency", "amount": 0.003, "runtime": "litert", "precision": "int8"},
        **{"device": None, "threads": 1, "cpu": "any", "paced": True},
    }


def test_times_by_which_a_network_takes_no_time_make_no_plan(opened, times, tmp_path):
    path = changed(times, tmp_path / "times.json", lambda unit: 1e9 if unit.sizes else 1e3, whole=lambda timed: 1e3)
    with pytest.raises(BadInput, match=r"takes -1e\+03 ms by these times"):
        planner_for(*opened, Latency(path, "litert", "fp32"))


def test_an_emulated_cpu_has_cycles_and_no_seconds(opened, times, tmp_path):
    (series,) = read_times(times).series
    path = tmp_path / "times.json"
    path.write_bytes(canonical_json(Times(series=(series.model_copy(update={"emulated": True}),))))
    of = OfLatency(path, "litert", "fp32")
    with pytest.raises(BadInput, match="--target-latency 3ms: an emulated CPU's times are cycles, no seconds"):
        _budget(of, "3ms", None, None, None, None)
    assert _budget(of, "0.5", None, None, None, None).share == 0.5


def test_only_plans_of_a_frontier_are_replaced(standard, stripes, tmp_path):
    own, earlier = tmp_path / "plan-mine.json", tmp_path / "plan-07.json"
    own.write_text("mine")
    made = partial(write_frontier, Choice(str(standard)), str(stripes), tmp_path, what="macs", count=1)
    made()
    earlier.write_text("{}")
    with pytest.raises(BadInput, match="has plans already"):
        made()
    made(force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan-01.json", "plan-mine.json"]
    assert own.read_text() == "mine"


def test_what_cannot_be_verified_is_not_planned(standard, opened, tmp_path):
    untested = replace(opened[1], test=None)
    said = []
    with pytest.raises(BadInput, match="has no test split"):
        write_frontier(
            *(Choice(str(standard)), untested, tmp_path),
            what="macs",
            verified=Verified(1, Recipe(epochs=0)),
            progress=lambda *given: said.append(given),
        )
    assert not said
