"""A plan applied to any nn.Module: the planned convolutions get their forms, everything else stays."""

import copy
from collections.abc import Mapping

from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.cutting import Removed, cut
from falcon_edge.falcon.forms import form_named
from falcon_edge.falcon.forms.form import FormConv2d, Replacement
from falcon_edge.falcon.patches import PatchStatistics


def apply(
    model: nn.Module,
    replaced: Mapping[str, Replacement],
    *,
    removed: Removed | None = None,
    fit: bool = True,
    statistics: Mapping[str, PatchStatistics] | None = None,
    in_place: bool = False,
) -> nn.Module:
    """Replace convolutions, by module path (`Plan.replaced`), and return the network.

    fit: take the factors from the trained kernels, data-aware for the layers in `statistics`; False gives fresh ones of
    the same shape, to load weights into. removed: channels that are cut out before (`Plan.removed`). A module that
    stands in several places is replaced once and shared again.
    Works on a copy unless `in_place`. Raises BadInput, before anything is changed, for a layer that is not there or has
    no such form or size.
    """
    if removed:
        model, in_place = cut(model, removed, in_place=in_place), True
    modules = dict(model.named_modules(remove_duplicate=False))
    for name, replacement in replaced.items():
        conv, form = modules.get(name), form_named(replacement.form)
        if not isinstance(conv, nn.Conv2d):
            raise BadInput(f"{name}: the network has no convolution of this name")
        reason = form.why_not(conv)
        if reason is not None:
            raise BadInput(f"{name} cannot become {form.title}: {reason}")
        if any(modules[other] is conv and replaced[other] != replacement for other in replaced if other in modules):
            raise BadInput(f"{name} is shared with another layer of the plan, but in another form or size")
    if not in_place:
        model = copy.deepcopy(model)
        modules = dict(model.named_modules(remove_duplicate=False))
    made: dict[nn.Module, FormConv2d] = {}
    for name, (named, sizes) in replaced.items():
        conv, form = modules[name], form_named(named)
        assert isinstance(conv, nn.Conv2d)
        if conv in made:
            continue
        try:
            made[conv] = form.from_conv(conv, sizes, (statistics or {}).get(name)) if fit else form.like(conv, sizes)
        except ValueError as error:
            raise BadInput(f"{name}: {error}") from error
    return exchange(model, made)


def exchange(model: nn.Module, made: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """A network with other modules in the place of its own, wherever these stand; it is changed in place."""
    modules = dict(model.named_modules(remove_duplicate=False))
    for name, module in modules.items():
        if module in made:
            if not name:
                return made[module]
            parent, _, child = name.rpartition(".")
            setattr(modules[parent], child, made[module])
    return model
