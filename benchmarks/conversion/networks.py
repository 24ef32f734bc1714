"""The networks that are converted: ours by name, standard or FALCON, weights from a seed, BN statistics from data."""

import torch
from torch import Tensor, nn

from falcon_edge.falcon import surgery
from falcon_edge.falcon.plan import uniform_plan
from falcon_edge.falcon.statistics import reestimate_batchnorm
from falcon_edge.models.sources import BUILTIN, build

SAMPLES = 4


def network(name: str, rank: int) -> tuple[nn.Module, Tensor]:
    """(the network, inputs (SAMPLES, C, H, W)); rank 0 is the standard network."""
    torch.manual_seed(0)
    shape = BUILTIN[name].input_shape
    made = build(name)
    if rank:
        made = surgery.apply(made, uniform_plan(made, shape, rank).replaced, in_place=True)
    inputs = torch.randn(SAMPLES, *shape)
    reestimate_batchnorm(made, [inputs])
    return made.eval(), inputs


def restored(name: str, rank: int, weights: str) -> tuple[nn.Module, Tensor]:
    """The same with weights from a file: what one process made, another one has to the bit."""
    torch.manual_seed(0)
    shape = BUILTIN[name].input_shape
    made = build(name)
    if rank:
        made = surgery.apply(made, uniform_plan(made, shape, rank).replaced, fit=False, in_place=True)
    made.load_state_dict(torch.load(weights, mmap=True, weights_only=True))
    return made.eval(), torch.zeros(1, *shape)
