"""Plans say what will happen; surgery does exactly that."""

import json

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from falcon_edge.cli import completion
from falcon_edge.cli.compress import MIXED
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.falcon import surgery
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.falcon import FalconConv2d
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.narrow import NARROW
from falcon_edge.falcon.plan import Plan, evbmf_plan, make_plan, share_plan, uniform_plan
from falcon_edge.falcon.statistics import patch_statistics
from falcon_edge.models.sources import BUILTIN, build
from tests.support.forms import falcon


@pytest.mark.parametrize(
    ("name", "replaced", "kept"),
    [
        ("vgg19", 16, set()),
        ("vgg16_bn", 13, set()),
        ("resnet34", 32, {"conv1", *(f"layer{n}.0.downsample.0" for n in range(1, 5))}),
        ("resnet18", 16, {"conv1", *(f"layer{n}.0.downsample.0" for n in range(2, 5))}),
        ("vgg8", 5, {"features.0"}),
    ],
)
def test_default_layers(name, replaced, kept):
    network = build(name, width=0.125)
    plan = uniform_plan(network, BUILTIN[name].input_shape, 1)
    assert len(plan.replaced) == replaced
    assert {layer.name for layer in plan.layers if layer.form == "keep"} == kept


@pytest.mark.parametrize("name", ["vgg19", "resnet34", "vgg8"])
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_totals_are_those_of_the_network_after_surgery(name, rank):
    network = build(name, width=0.25)
    plan = uniform_plan(network, BUILTIN[name].input_shape, rank)
    found = cost(surgery.apply(network, plan.replaced), plan.input_shape)
    assert (found.parameters, found.macs) == (plan.planned_parameters, plan.planned_macs)
    before = cost(network, plan.input_shape)
    assert (before.parameters, before.macs) == (plan.parameters, plan.macs)


def test_totals_with_the_biases_that_data_adds():
    network = build("vgg8", width=0.25)
    images = [torch.randn(4, 1, 28, 28)]
    first = uniform_plan(network, (1, 28, 28), 1)
    statistics = patch_statistics(network, first.replaced, images)
    plan = uniform_plan(network, (1, 28, 28), 1, statistics=statistics)
    found = cost(surgery.apply(network, plan.replaced, statistics=statistics), plan.input_shape)
    assert found.parameters == plan.planned_parameters > first.planned_parameters


def test_clamped_rank_is_said():
    plan = uniform_plan(build("vgg19", width=0.125), (3, 32, 32), 4)
    stem, second = plan.layers[:2]
    assert (stem.sizes, second.sizes) == ((3,), (4,))
    assert "clamped from rank 4" in stem.reason


@pytest.mark.parametrize(("rank", "said"), [(0, "at least 1"), (-2, "at least 1"), (10, "every layer")])
def test_ranks_that_are_bad_input(rank, said):
    with pytest.raises(BadInput, match=said):
        uniform_plan(build("vgg8", width=0.25), (1, 28, 28), rank)


def test_network_without_a_layer_to_replace():
    with pytest.raises(BadInput, match=r"nothing to compress: it is pointwise already \(2 times\)"):
        uniform_plan(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)), (3, 8, 8), 1)


def test_layers_that_save_nothing_are_kept():
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))
    reasons = {layer.name: layer.reason for layer in uniform_plan(network, (1, 12, 12), 1).layers}
    assert reasons == {
        "0": "FALCON would not save MACs",
        "1": "uniform rank",
        "2": "it is depthwise already",
        "3": "it is pointwise already",
    }


def test_plan_round_trip_and_damage():
    plan = uniform_plan(build("vgg8", width=0.25), (1, 28, 28), 2)
    text = plan.model_dump_json()
    assert Plan.model_validate_json(text) == plan
    for damaged in (text.replace('"falcon"', '"keep"', 1), text.replace('"sizes":[2]', '"sizes":[0]', 1), text[:-20]):
        with pytest.raises(ValidationError):
            Plan.model_validate_json(damaged)


@pytest.mark.parametrize(("ranks", "said"), [({"nothing": 1}, "nothing"), ({"0": 0}, "rank 0")])
def test_plans_that_cannot_be_made(ranks, said):
    with pytest.raises(BadInput, match=said):
        make_plan(nn.Sequential(nn.Conv2d(4, 8, 3)), (4, 8, 8), falcon(**ranks))


def test_copy_leaves_the_original_and_in_place_does_not():
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU())
    copied = surgery.apply(network, falcon(**{"0": 1}))
    assert isinstance(copied[0], FalconConv2d)
    assert type(network[0]) is nn.Conv2d
    assert surgery.apply(network, falcon(**{"0": 1}), in_place=True) is network
    assert isinstance(network[0], FalconConv2d)


def test_shared_modules_are_replaced_once_and_stay_shared():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Conv2d(4, 4, 3, padding=1)
            self.other = self.one
            self.blocks = nn.ModuleList([nn.Sequential(self.one), nn.Conv2d(4, 4, 3, padding=1)])

        def forward(self, x):
            return self.blocks[1](self.blocks[0](self.other(self.one(x))))

    network = Twice()
    plan = uniform_plan(network, (4, 8, 8), 2)
    assert set(plan.replaced) == {"one", "blocks.1"}
    made = surgery.apply(network, plan.replaced)
    assert made.one is made.other is made.blocks[0][0]
    assert isinstance(made.one, FalconConv2d)
    assert made(torch.zeros(1, 4, 8, 8)).shape == (1, 4, 8, 8)
    assert cost(made, (4, 8, 8)).parameters == plan.planned_parameters


def test_a_network_that_is_one_convolution():
    conv = nn.Conv2d(4, 8, 3)
    made = surgery.apply(conv, falcon(**{"": 4}))
    x = torch.randn(1, 4, 8, 8)
    assert torch.allclose(made(x), conv(x), atol=1e-5)


@pytest.mark.parametrize(
    ("ranks", "said"), [({"0": 1, "9": 1}, "no convolution"), ({"0": 1, "1": 1}, "pointwise"), ({"0": 99}, "rank 99")]
)
def test_nothing_changes_before_an_error(ranks, said):
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 1))
    with pytest.raises(BadInput, match=said):
        surgery.apply(network, falcon(**ranks), in_place=True)
    assert all(type(layer) is nn.Conv2d for layer in network)


def test_weights_load_into_a_fresh_structure():
    network = build("vgg8", width=0.25)
    ranks = uniform_plan(network, (1, 28, 28), 2).replaced
    made = surgery.apply(network, ranks)
    fresh = surgery.apply(build("vgg8", width=0.25), ranks, fit=False)
    fresh.load_state_dict(made.state_dict())
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(made.eval()(x), fresh.eval()(x))


def test_plans_of_version_1_are_read(tmp_path):
    network = build("vgg8", width=0.25)
    plan = uniform_plan(network, (1, 28, 28), 2)
    old = plan.model_dump(mode="json") | {"schema_version": 1}
    for layer in old["layers"]:
        sizes, layer["action"] = layer.pop("sizes"), layer.pop("form")
        layer["rank"] = sizes[0] if sizes else None
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(old))
    assert read_document(path, Plan) == plan
    path.write_text(json.dumps(old).replace('"rank": 2', '"rank": null', 1))
    with pytest.raises(BadInput, match="a rank belongs to 'falcon'"):
        read_document(path, Plan)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_share_of_the_macs_is_kept_to(form, share):
    network = build("vgg8", width=0.5)
    plan = share_plan(network, (1, 28, 28), share, form=form)
    found = cost(surgery.apply(network, plan.replaced), plan.input_shape)
    assert (found.parameters, found.macs) == (plan.planned_parameters, plan.planned_macs)
    assert plan.planned_macs <= share * plan.macs
    assert plan.planned_macs > (0.5 if form in ("falcon", "dsconv") else 0.85) * share * plan.macs
    assert {layer.form for layer in plan.layers} == {"keep", form}
    assert all(size % 16 == 0 or size in (1, 2, 4, 8) for layer in plan.layers for size in layer.sizes) or form in (
        "falcon",
        "dsconv",
    )


@pytest.mark.parametrize(
    ("share", "error", "said"),
    [(0.01, BelowAsked, "at its smallest leaves"), (1.5, BadInput, "between 0 and 1"), (0, BadInput, "between")],
)
def test_shares_that_cannot_be_had(share, error, said):
    with pytest.raises(error, match=said):
        share_plan(build("vgg8", width=0.25), (1, 28, 28), share)


def test_a_stem_is_not_filtered_channel_by_channel_unless_a_plan_says_so():
    network = build("vgg19", width=0.25)
    plan = uniform_plan(network, (3, 32, 32), 1, form="dsconv")
    stem, *others = plan.layers
    assert (stem.form, stem.reason) == ("keep", "its few input channels would be filtered alike for all outputs")
    assert {layer.form for layer in others} == {"dsconv"}
    asked = make_plan(network, (3, 32, 32), {stem.name: Replacement("dsconv", (2,))})
    assert asked.layers[0].sizes == (2,)


def test_the_command_line_knows_every_form():
    assert (*FORMS, NARROW, MIXED) == completion.FORMS


def test_two_forms_in_one_network_and_a_form_of_two_sizes():
    network = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 16, 3, stride=2))
    plan = make_plan(network, (16, 12, 12), {"0": Replacement("tucker2", (8, 99)), "2": Replacement("dsconv", (1,))})
    assert [layer.sizes for layer in plan.layers] == [(8, 32), (1,)]
    assert plan.layers[0].reason == "clamped from inputs 8, outputs 99 to the lossless inputs and outputs"
    made = surgery.apply(network, plan.replaced)
    assert cost(made, (16, 12, 12)).macs == plan.planned_macs
    assert made(torch.zeros(1, 16, 12, 12)).shape == network(torch.zeros(1, 16, 12, 12)).shape
    with pytest.raises(BadInput, match="there are falcon, dsconv, tucker2"):
        uniform_plan(network, (16, 12, 12), 1, form="wavelet")


@pytest.mark.parametrize(("form", "sizes"), [("tucker2", (3, 5)), ("lowrank_in", (3,)), ("lowrank_out", (5,))])
def test_ranks_that_stand_out_of_noise(form, sizes):
    """Of a kernel that reads three directions of its inputs and writes five of its outputs, and noise."""
    network = nn.Sequential(nn.Conv2d(24, 32, 3), nn.ReLU(), nn.Conv2d(32, 24, 3))
    torch.manual_seed(0)
    with torch.no_grad():
        network[0].weight.copy_(torch.einsum("ns,mr,srij->nmij", *map(torch.randn, ((32, 5), (24, 3), (5, 3, 3, 3)))))
        network[0].weight.add_(torch.randn(32, 24, 3, 3), alpha=0.05)
        network[2].weight.copy_(torch.randn(24, 32, 3, 3))
    plan = evbmf_plan(network, (24, 12, 12), form=form)
    found = {layer.name: (layer.sizes, layer.reason) for layer in plan.layers}
    described = FORMS[form].describe
    assert found["0"] == (sizes, f"EVBMF finds {described(sizes)}")
    assert found["2"] == ((1,) * len(sizes), f"EVBMF finds {described((0,) * len(sizes))}")


def test_ranks_by_evbmf_are_of_forms_that_unfold_a_kernel():
    with pytest.raises(BadInput, match="`rank` evbmf: is not for FALCON, which unfolds no kernel; use tucker2"):
        evbmf_plan(build("vgg8", width=0.25), (1, 28, 28), form="falcon")
