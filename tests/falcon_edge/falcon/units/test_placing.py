"""Units in networks: where they go, what stays, and what can still be compressed."""

import pytest
import torch
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.observe import observe
from falcon_edge.falcon.plan import default_layers, uniform_plan
from falcon_edge.falcon.units import UNITS, unit_named
from falcon_edge.falcon.units.placing import places, put
from falcon_edge.models.sources import BUILTIN, build

NETWORKS = ("vgg19", "resnet34", "resnet18", "vgg8")


def shape_of(name):
    return BUILTIN[name].input_shape[0], 32, 32


def with_unit(name, unit, width=0.25):
    torch.manual_seed(0)
    network, shape = build(name, width=width), shape_of(name)
    return put(network, places(network, shape, unit).layers, unit), shape


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("unit", UNITS)
def test_it_takes_the_places_of_falcon(name, unit):
    standard, shape, unit = build(name, width=0.5), shape_of(name), unit_named(unit)
    observed = observe(standard, shape)
    expected = [layer for layer, reason in default_layers(standard, observed).items() if reason is None]
    found = places(standard, shape, unit)
    assert sorted([*found.layers, *found.kept]) == sorted(expected)
    assert found.kept.keys() <= {"features.0"}  # VGG19's RGB stem
    before = cost(standard, shape)
    convs = [standard.get_submodule(layer) for layer in found.layers]
    saved = sum(sum(p.numel() for p in conv.parameters()) - unit.parameters(conv) for conv in convs)
    macs = sum(
        observed.macs(layer) - unit.macs(conv, observed.uses[layer])
        for layer, conv in zip(found.layers, convs, strict=True)
    )
    after = cost(put(standard, found.layers, unit), shape)
    assert (after.parameters, after.macs) == (before.parameters - saved, before.macs - macs)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rank", [1, 2])
def test_stconv_branch_compressed_is_falcon_branch(name, rank):
    standard, shape = with_unit(name, unit_named("stconv_branch"))
    plan = uniform_plan(standard, shape, rank)
    compressed = surgery.apply(standard, plan.replaced)
    expected, _ = with_unit(name, unit_named("falcon_branch", {"rank": rank}))
    shapes = {name: tensor.shape for name, tensor in compressed.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in expected.state_dict().items()}
    assert cost(compressed, shape).macs == cost(expected, shape).macs == plan.planned_macs


@pytest.mark.parametrize(("name", "width"), [("vgg19", 0.125), ("vgg8", 0.25)])
def test_stconv_branch_at_the_lossless_rank_answers_alike(name, width):
    standard, shape = with_unit(name, unit_named("stconv_branch"), width)
    plan = uniform_plan(standard, shape, 9)
    compressed = surgery.apply(standard, plan.replaced)
    x = torch.randn(4, *shape)
    with torch.no_grad():
        expected = standard(x)
        assert (compressed(x) - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("unit", [name for name in UNITS if name != "stconv_branch"])
def test_nothing_is_left_to_compress_in_the_others(unit):
    network, shape = with_unit("vgg8", unit_named(unit), width=0.5)
    with pytest.raises(BadInput, match="no convolution that FALCON makes cheaper"):
        uniform_plan(network, shape, 1)


def test_a_layer_that_stands_in_two_places_stays_one():
    conv = nn.Conv2d(16, 16, 3, padding=1)
    network, unit = nn.Sequential(conv, nn.ReLU(), conv), unit_named("mobilev2")
    found = places(network, (16, 8, 8), unit)
    made = put(network, found.layers, unit)
    assert made[0] is made[2] is not conv
    assert cost(made, (16, 8, 8)).macs == 2 * cost(made[0], (16, 8, 8)).macs


def test_a_network_that_is_one_convolution_becomes_the_unit():
    unit = unit_named("dsconv")
    conv = nn.Conv2d(16, 16, 3)
    assert type(put(conv, places(conv, (16, 8, 8), unit).layers, unit)).__name__ == "DSConv2d"


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (nn.Conv2d(16, 9, 3), "StConv-branch can stand in the place of no layer of this network: its 9 output"),
        (nn.Conv2d(16, 16, 1), "of no layer of this network: it is pointwise already"),
        (nn.Flatten(), "of no layer of this network: there is no convolution"),
    ],
)
def test_where_it_can_stand_nowhere_is_one_line(network, said):
    with pytest.raises(BadInput, match=said):
        places(network, (16, 8, 8), unit_named("stconv_branch"))


@pytest.mark.parametrize(
    ("layers", "limit", "said"),
    [
        (["1"], None, "1: the network has no convolution of this name"),
        (["0", "nothing"], None, "nothing: the network has no convolution of this name"),
        (["0", "2"], None, "StConv-branch cannot stand in the place of 2: its 9 output channels"),
        (["0"], 1000, "StConv-branch would have 1,184 parameters in this network, more than 1,000"),
    ],
)
def test_it_is_put_nowhere_else_and_nothing_is_changed(layers, limit, said):
    network = nn.Sequential(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Conv2d(16, 9, 3))
    before = list(network)
    with pytest.raises(BadInput, match=said):
        put(network, layers, unit_named("stconv_branch"), limit)
    assert list(network) == before


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (("0", "conv2"), "the network's falcon_layers has conv2, which is none of its layers"),
        (3, "the network's falcon_layers is of type int: make it a tuple of names of its layers"),
        ("0", "the network's falcon_layers is of type str: make it a tuple"),
    ],
)
def test_layers_that_a_network_names_are_there(own, said):
    network = nn.Sequential(nn.Conv2d(16, 16, 3))
    network.falcon_layers = own
    with pytest.raises(BadInput, match=said):
        places(network, (16, 8, 8), unit_named("dsconv"))
    with pytest.raises(BadInput, match=said):
        uniform_plan(network, (16, 8, 8), 1)
