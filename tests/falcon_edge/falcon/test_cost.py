"""Cost against formulas written out here, and against torch's own counter in a forward pass."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from falcon_edge.falcon import surgery, units
from falcon_edge.falcon import unit_cost as costs
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.forms.falcon import FalconConv2d
from falcon_edge.falcon.plan import uniform_plan
from falcon_edge.falcon.unit_cost import Geometry
from falcon_edge.models.sources import BUILTIN, build


def counted(network, shape):
    """MACs as torch counts them while the network runs: half of its FLOPs."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", ["vgg19", "resnet34", "resnet18", "vgg8"])
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_networks_against_an_instrumented_pass(name, rank):
    network = build(name, width=0.25)
    shape = (BUILTIN[name].input_shape[0], 32, 32)
    if rank:
        network = surgery.apply(network, uniform_plan(network, shape, rank).replaced)
    found = cost(network, shape)
    assert found.macs == counted(network, shape)
    assert found.parameters == sum(parameter.numel() for parameter in network.parameters())


def test_a_layer_that_is_used_twice_counts_twice():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    found = cost(nn.Sequential(conv, conv), (3, 8, 8))
    assert found.parameters == 3 * 3 * 9 + 3
    assert found.macs == 2 * 64 * 81


def test_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    cost(network, (3, 8, 8))
    assert [module.training for module in network] == [True, False, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


M, N = st.integers(1, 6).map(lambda n: 8 * n), st.integers(1, 6).map(lambda n: 8 * n)


@given(
    M, N, st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]), st.integers(1, 8), st.integers(1, 4), st.integers(1, 4)
)
def test_units_against_the_table_and_an_instrumented_pass(m, n, d, stride, size, t, k):
    before, after = (2 * size) ** 2, (2 * size // stride) ** 2
    g = Geometry(m, n, d, before, after)
    assert costs.standard_cost(g) == costs.UnitCost(d * d * m * n, after * d * d * m * n)
    assert costs.falcon_cost(g, k) == costs.UnitCost(k * (m * n + d * d * n), k * (before * m * n + after * d * d * n))
    assert costs.dsconv_cost(g) == costs.UnitCost(d * d * m + m * n, after * (d * d * m + m * n))
    v2 = (t * m * m + t * d * d * m + t * m * n, before * t * m * m + after * (t * d * d * m + t * m * n))
    assert costs.mobileconv_v2_cost(g, t) == costs.UnitCost(*v2)
    made = {
        units.DSConv(m, n, d, stride): costs.dsconv_cost(g),
        units.MobileConvV2(m, n, d, stride, expansion=t): costs.mobileconv_v2_cost(g, t),
        units.ShuffleUnit(m, n, d, stride, groups=2): costs.shuffle_unit_cost(g, 2),
        units.ShuffleUnitV2(m, n, d, stride): costs.shuffle_unit_v2_cost(g),
        units.StConvBranch(m, n, d, stride): costs.stconv_branch_cost(g),
        units.FalconBranch(m, n, d, stride, rank=k): costs.falcon_branch_cost(g, k),
        FalconConv2d(m, n, d, stride, d // 2, bias=False, rank=k): costs.falcon_cost(g, k),
        nn.Conv2d(m, n, d, stride, d // 2, bias=False): costs.standard_cost(g),
    }
    for unit, expected in made.items():
        weights = sum(
            p.numel() for module in unit.modules() if isinstance(module, nn.Conv2d) for p in module.parameters()
        )
        assert costs.UnitCost(weights, counted(unit, (m, 2 * size, 2 * size))) == expected, unit
        assert unit.eval()(torch.zeros(1, m, 2 * size, 2 * size)).shape == (
            1,
            n,
            2 * size // stride,
            2 * size // stride,
        )


@given(st.integers(1, 5), st.integers(1, 5))
def test_shuffle_interleaves_the_groups(groups, per_group):
    assume(groups * per_group > 1)
    x = torch.arange(groups * per_group)[None, :, None, None]
    expected = [group * per_group + index for index in range(per_group) for group in range(groups)]
    assert units.shuffle(x, groups).flatten().tolist() == expected


@pytest.mark.parametrize("make", [lambda: units.ShuffleUnit(8, 12), lambda: units.StConvBranch(8, 9)])
def test_units_refuse_channels_that_do_not_divide(make):
    with pytest.raises(ValueError, match=r"divide|halved"):
        make()
