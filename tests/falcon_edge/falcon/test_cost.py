"""Cost against formulas written out here, and against torch's own counter in a forward pass."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from falcon_edge.falcon import surgery
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.plan import uniform_plan
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
