"""The width at which a network of units has the MACs of another one."""

from bisect import bisect_left
from functools import cache

import torch
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.observe import observe
from falcon_edge.falcon.plan import default_layers, uniform_plan
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

    And these MACs; of several widths that do as well, one at `width` or next to it. Widths at which convolutions stay
    standard for want of channels, or because they do not divide, are passed over: their networks are no longer of this
    unit. So MACs grow with the width, and a few are tried, without weights and without computing: on torch's meta
    device. Raises BadInput for networks that have no width, and where a unit has none.
    """
    if source not in BUILTIN:
        raise BadInput(f"{source}: macs_of a unit is met by the width, which is for {', '.join(BUILTIN)}")

    @cache
    def at(step: int) -> tuple[int, bool]:
        """MACs with units in the place of all that FALCON replaces, and whether they can be there."""
        with torch.device("meta"):
            module = build(source, num_classes=num_classes, in_channels=input_shape[0], width=step / STEPS)
            observed, whole = observe(module, input_shape), True
            total = observed.total
            for name, reason in default_layers(module, observed).items():
                conv = module.get_submodule(name)
                assert isinstance(conv, nn.Conv2d)
                impossible = unit.why_not(conv)
                if reason is not None or (impossible is not None and conv.in_channels == input_shape[0]):
                    continue  # a stem stays as it is at any width: its channels are the image's
                whole = whole and impossible is None
                total += unit.macs(conv, observed.uses[name]) - observed.macs(name)
        return total, whole

    own, widest = max(1, round(width * STEPS)), WIDEST * STEPS
    most = own
    while most < widest and at(most)[0] < wanted:
        most = min(2 * most, widest)
    above = 1 + bisect_left(range(1, most), wanted, key=lambda step: at(step)[0])
    sides = (range(above - 1, 0, -1), range(above, widest + 1), (own,))
    tried = [step for side in sides if (step := next((each for each in side if at(each)[1]), None)) is not None]
    if not tried:
        raise BadInput(f"{source}: no width with {unit.title} has about {wanted:,} MACs")
    best = min(tried, key=lambda step: (abs(at(step)[0] - wanted), abs(step - own), step))
    return best / STEPS, at(best)[0]
