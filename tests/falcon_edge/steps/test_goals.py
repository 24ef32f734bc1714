"""Goals by rank: the plan that one leads to, what it says where layers cost more than before, and what cannot be."""

import json
import warnings

import pytest

from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.plan import Plan
from falcon_edge.notices import Notice
from falcon_edge.steps.compress import compress_bundle, plan_of
from falcon_edge.steps.goals import Goal
from falcon_edge.steps.opening import Choice


def notices(choice, **words):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        plan = plan_of(choice, Goal(**words))
    return plan, [str(warning.message) for warning in caught if issubclass(warning.category, Notice)]


WIDER = Choice("vgg8", width=0.5)


def test_a_plan_that_costs_more_says_which_rank_saves():
    plans = {rank: notices(WIDER, rank=rank) for rank in range(1, 10)}
    saving = max(rank for rank, (plan, _) in plans.items() if plan.planned_macs < plan.macs)
    assert 1 < saving < 9
    for rank, (plan, said) in plans.items():
        dear = [f"{layer.name} at rank {rank}" for layer in plan.layers if layer.planned_macs > layer.macs]
        assert {layer.sizes for layer in plan.layers} == {(), (rank,)}
        expected = []
        if rank > saving:
            expected.append(
                f"compressed, the network has more MACs than before ({plan.planned_macs:,} instead of {plan.macs:,}): "
                f"the largest rank that saves is {saving}"
            )
        if dear:
            expected.append(f"these layers cost more MACs than before: {', '.join(dear)}; `cap_rank` lowers their rank")
        assert said == expected


def test_capped_ranks_are_the_largest_that_save(tmp_path):
    plain = notices(WIDER, rank=8)[0]
    plan, said = notices(WIDER, rank=8, cap_rank=True)
    assert said == []
    assert plan.planned_macs < plan.macs < plain.planned_macs
    for layer, uncapped in zip(plan.layers, plain.layers, strict=True):
        if layer.replacement is not None:
            one = uncapped.planned_macs // uncapped.sizes[0]
            assert layer.sizes[0] == max(rank for rank in range(1, 9) if rank * one < layer.macs)
            assert layer.reason == "capped from rank 8 to the largest that saves MACs"
    made = compress_bundle(WIDER, tmp_path / "net", rank=8, cap_rank=True)
    assert made.macs == plan.planned_macs
    assert made.lineage.steps[-1].options == {"rank": 8, "plan": None, "init": "svd", "cap_rank": True}


def test_ranks_that_stand_out_of_noise(tmp_path, standard):
    made = compress_bundle(Choice(str(standard)), tmp_path / "net", rank="evbmf", form="tucker2")
    assert made.lineage.steps[-1].options == {"rank": "evbmf", "plan": None, "form": "tucker2", "init": "svd"}
    layers = [
        layer for layer in read_document(tmp_path / "net.falcon" / "plan.json", Plan).layers if layer.form != "keep"
    ]
    assert layers
    assert all(layer.reason.startswith("EVBMF finds inputs ") for layer in layers)


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        (Goal(rank="evbmf"), "`rank` evbmf: is not for FALCON"),
        (Goal(rank="many", form="tucker2"), "`rank` many: give a whole number, or evbmf"),
        (Goal(rank="evbmf", form="tucker2", cap_rank=True), "`cap_rank` goes with `rank`, a number"),
        (Goal(rank=1, form="shufflev2"), "shufflev2: has normalisation and activations inside"),
    ],
)
def test_goals_that_cannot_be(goal, said):
    with pytest.raises(BadInput, match=said):
        plan_of(WIDER, goal)


def test_layers_of_a_plan_file_that_cost_more_are_named(tmp_path):
    document = notices(WIDER, rank=8)[0].model_dump(mode="json")
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    said = notices(WIDER, plan=path)[1]
    assert said[0].endswith("lower their ranks in the plan")
    assert "; lower their ranks in the plan" in said[1]
    with pytest.raises(BadInput, match="`cap_rank` goes with `rank`"):
        plan_of(WIDER, Goal(plan=path, cap_rank=True))
