"""Units put into a network, in the place of its convolutions."""

from collections.abc import Collection
from itertools import chain
from typing import NamedTuple

from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import Shape
from falcon_edge.falcon.observe import observe
from falcon_edge.falcon.plan import default_layers, own_layers
from falcon_edge.falcon.surgery import exchange
from falcon_edge.falcon.units.unit import Unit


class Places(NamedTuple):
    """The convolutions in whose place a unit is put, by module path, and why others that FALCON replaces stay."""

    layers: tuple[str, ...]
    kept: dict[str, str]


def places(model: nn.Module, input_shape: Shape, unit: Unit) -> Places:
    """Where a unit goes in a network of standard convolutions for an image (C, H, W): the default layers of FALCON.

    So that what is compared differs in nothing else. Raises BadInput where there is no such place.
    """
    chosen = default_layers(model, observe(model, input_shape))
    convs = {name: model.get_submodule(name) for name, reason in chosen.items() if reason is None}
    found = {name: unit.why_not(conv) for name, conv in convs.items() if isinstance(conv, nn.Conv2d)}
    layers = tuple(name for name, reason in found.items() if reason is None)
    kept = {name: reason for name, reason in found.items() if reason is not None}
    if not layers:
        reasons = kept or {name: reason for name, reason in chosen.items() if reason is not None}
        why = "; ".join(dict.fromkeys(reasons.values())) or "there is no convolution"
        raise BadInput(f"{unit.title} can stand in the place of no layer of this network: {why}")
    return Places(layers, kept)


def put(model: nn.Module, layers: Collection[str], unit: Unit, limit: int | None = None) -> nn.Module:
    """A network with units in the place of convolutions, by module path; it is changed in place.

    limit: how many parameters the units may have. The layers that a network of the paper names become those inside of
    the units. Raises BadInput, before anything is changed, for a layer that is not there or where the unit cannot be.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    convs: list[nn.Conv2d] = []
    for name in layers:
        conv = modules.get(name)
        if not isinstance(conv, nn.Conv2d):
            raise BadInput(f"{name}: the network has no convolution of this name")
        reason = unit.why_not(conv)
        if reason is not None:
            raise BadInput(f"{unit.title} cannot stand in the place of {name}: {reason}")
        if conv not in convs:
            convs.append(conv)
    needed = sum(map(unit.parameters, convs))
    if limit is not None and needed > limit:
        raise BadInput(f"{unit.title} would have {needed:,} parameters in this network, more than {limit:,}")
    own = own_layers(model)
    model = exchange(model, {conv: unit.like(conv) for conv in convs})
    if own is not None:
        inside = tuple(chain.from_iterable(_inside(model, name) for name in own))
        model.falcon_layers = inside  # type: ignore[assignment]  # torch's stubs know tensors and modules
    return model


def _inside(model: nn.Module, name: str) -> list[str]:
    """The convolutions at a place: one, or those of a unit."""
    return [
        f"{name}.{inner}".rstrip(".")
        for inner, module in model.get_submodule(name).named_modules()
        if isinstance(module, nn.Conv2d)
    ]
