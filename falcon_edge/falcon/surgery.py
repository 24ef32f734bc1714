"""A plan applied to any nn.Module: the planned convolutions become FalconConv2d, everything else stays."""

import copy
from collections.abc import Mapping

from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.gep import PatchStatistics
from falcon_edge.falcon.layers import FalconConv2d, why_not


def apply(
    model: nn.Module,
    ranks: Mapping[str, int],
    *,
    fit: bool = True,
    statistics: Mapping[str, PatchStatistics] | None = None,
    in_place: bool = False,
) -> nn.Module:
    """Replace the convolutions named in `ranks` (module path -> rank; `Plan.replaced`) and return the network.

    fit: take the factors from the trained kernels, data-aware for the layers in `statistics`; False gives fresh ones of
    the same shape, to load weights into. A module that stands in several places is replaced once and shared again.
    Works on a copy unless `in_place`. Raises BadInput, before anything is changed, for a layer that is not there or has
    no FALCON form at that rank.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    for name, rank in ranks.items():
        conv = modules.get(name)
        if not isinstance(conv, nn.Conv2d):
            raise BadInput(f"{name}: the network has no convolution of this name")
        reason = why_not(conv)
        if reason is not None:
            raise BadInput(f"{name} cannot become FALCON: {reason}")
        if any(modules[other] is conv and ranks[other] != rank for other in ranks if other in modules):
            raise BadInput(f"{name} is shared with another layer of the plan, but at another rank")
    if not in_place:
        model = copy.deepcopy(model)
        modules = dict(model.named_modules(remove_duplicate=False))
    made: dict[nn.Module, FalconConv2d] = {}
    for name, rank in ranks.items():
        conv = modules[name]
        assert isinstance(conv, nn.Conv2d)
        if conv in made:
            continue
        try:
            if fit:
                made[conv] = FalconConv2d.from_conv(conv, rank, (statistics or {}).get(name))
            else:
                made[conv] = FalconConv2d.like(conv, rank)
        except ValueError as error:
            raise BadInput(f"{name}: {error}") from error
    for name, module in modules.items():
        if module in made:
            if not name:
                return made[module]
            parent, _, child = name.rpartition(".")
            setattr(modules[parent] if parent else model, child, made[module])
    return model
