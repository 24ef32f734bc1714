"""The width at which a network of units has the MACs of another one."""

from bisect import bisect_left
from functools import cache

import torch
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.observe import observe
from falcon_edge.falcon.plan import uniform_plan
from falcon_edge.falcon.units.placing import places
from falcon_edge.falcon.units.unit import Unit
from falcon_edge.models.sources import BUILTIN, build

# Channels are multiples of 8 (falcon_edge.models.width), of 512 at most: between these widths nothing changes.
STEPS = 128
WIDEST = 8


def wanted_macs(module: nn.Module, input_shape: tuple[int, int, int], form: str, rank: int) -> tuple[int, int]:
    """The MACs of a network whose layers are in a form at a rank, and those that it has as it is."""
    plan = uniform_plan(module, input_shape, rank, form=form)
    return plan.planned_macs, plan.macs


def matched_width(
    source: str, unit: Unit, input_shape: tuple[int, int, int], num_classes: int, wanted: int, width: float = 1.0
) -> tuple[float, int]:
    """The width of one of our own networks, in 128ths, at which it comes nearest to `wanted` MACs with a unit.

    And these MACs; of several widths that do as well, the one nearest to `width`. MACs grow with the width, so that a
    few are tried, without weights and without computing: on torch's meta device. Raises BadInput for networks that
    have no width.
    """
    if source not in BUILTIN:
        raise BadInput(f"{source}: macs_of a unit is met by the width, which is for {', '.join(BUILTIN)}")

    @cache
    def macs(step: int) -> int:
        with torch.device("meta"):
            module = build(source, num_classes=num_classes, in_channels=input_shape[0], width=step / STEPS)
        observed = observe(module, input_shape)
        total = sum(layer.macs for layer in observed.executed)
        try:
            layers = places(module, input_shape, unit).layers
        except BadInput:  # of so few channels it cannot be built
            return 0
        for name in layers:
            conv = module.get_submodule(name)
            assert isinstance(conv, nn.Conv2d)
            total += unit.macs(conv, observed.uses[name]) - observed.macs(name)
        return total

    own = max(1, round(width * STEPS))
    most = own
    while macs(most) < wanted and most < WIDEST * STEPS:
        most *= 2
    above = 1 + bisect_left(range(1, most), wanted, key=macs)
    tried = [step for step in (above - 1, above, own) if step and macs(step)]
    if not tried:
        raise BadInput(f"{source}: no width with {unit.title} has about {wanted:,} MACs")
    best = min(tried, key=lambda step: (abs(macs(step) - wanted), abs(step - own), step))
    return best / STEPS, macs(best)
