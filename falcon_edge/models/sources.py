"""Where a network comes from: our own by name, `timm:NAME`, `torchvision:NAME` or `module:function`."""

import importlib
import importlib.util
import inspect
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.models import packages
from falcon_edge.models.resnet import resnet18, resnet34
from falcon_edge.models.user_code import first_line, imported, see_working_folder
from falcon_edge.models.vgg import vgg8, vgg16_bn, vgg19


@dataclass(frozen=True)
class Builtin:
    """One of our own networks: how to make it, and the input and classes of its paper."""

    make: Callable[..., nn.Module]
    input_shape: tuple[int, int, int]
    num_classes: int


BUILTIN: Mapping[str, Builtin] = {
    "vgg19": Builtin(vgg19, (3, 32, 32), 10),
    "resnet34": Builtin(resnet34, (3, 32, 32), 10),
    "vgg16_bn": Builtin(vgg16_bn, (3, 224, 224), 1000),
    "resnet18": Builtin(resnet18, (3, 224, 224), 1000),
    "vgg8": Builtin(vgg8, (1, 28, 28), 10),
}
MAXIMUM_NETWORK, MAXIMUM_COUNT = 8 * 1024**3, 1_000_000
PACKAGES = ("timm", "torchvision")
KNOWN = f"{', '.join(BUILTIN)}, timm:NAME, torchvision:NAME or module:function"


def build(
    source: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    width: float = 1.0,
    model_args: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A network with fresh weights, in eval mode. None leaves a choice to the network itself.

    model_args: what a `module:function` is called with besides. Raises BadInput for an unknown source, one whose
    package is missing, or a choice that the source does not offer.
    """
    counts = [count for count in (num_classes, in_channels) if count is not None]
    if min(counts, default=1) < 1 or max(counts, default=1) > MAXIMUM_COUNT or not 0 < width < math.inf:
        raise BadInput(f"{source}: classes and channels are at least 1 (at most {MAXIMUM_COUNT}), the width is above 0")
    kind, _, name = source.partition(":")
    if model_args and (source in BUILTIN or kind in PACKAGES):
        raise BadInput(f"{source}: `model_args` is for module:function")
    if source in BUILTIN:
        builtin = BUILTIN[source]
        choices = {
            "num_classes": num_classes or builtin.num_classes,
            "in_channels": in_channels or builtin.input_shape[0],
            "width": width,
        }
        with torch.device("meta"):  # counted before it takes memory: a manifest may ask for anything
            needed = sum(tensor.nbytes for tensor in _call(source, builtin.make, choices).state_dict().values())
        if needed > MAXIMUM_NETWORK:
            raise BadInput(f"{source} with {choices} would be larger than {MAXIMUM_NETWORK >> 30} GiB")
        return _call(source, builtin.make, choices).eval()
    _check_name(source, width)
    if kind == "timm":
        return _call(source, _timm(name), _chosen(num_classes=num_classes, in_chans=in_channels)).eval()
    if kind == "torchvision":
        channels = None if in_channels == 3 else in_channels
        return _call(source, _torchvision(name), _chosen(num_classes=num_classes, in_channels=channels)).eval()
    code_of(source)
    function = imported(kind, name, KNOWN)
    chosen = _chosen(num_classes=num_classes, in_channels=in_channels)
    return _call(source, function, _accepted(source, function, chosen, model_args or {})).eval()


def check_source(source: str, width: float = 1.0) -> None:
    """Raise BadInput for a source that is not there, or has no width. The user's code is looked for, and not run."""
    if source in BUILTIN:
        return
    _check_name(source, width)
    kind, _, name = source.partition(":")
    if kind == "timm":
        _timm(name)
    elif kind == "torchvision":
        _torchvision(name)
    elif code_of(source) == "":
        imported(kind, name, KNOWN)


def _check_name(source: str, width: float) -> None:
    """Raise BadInput for a source that is none of ours and names no other, or is given a width."""
    if not source.partition(":")[2]:
        raise BadInput(f"{source}: not a bundle and no known network; use {KNOWN}")
    if width != 1.0:
        raise BadInput(f"{source}: `width` is for {', '.join(BUILTIN)}")


def _chosen(**choices: int | None) -> dict[str, Any]:
    return {name: value for name, value in choices.items() if value is not None}


def code_of(source: str) -> str | None:
    """Where the module of `module:function` would be imported from; None for a source of another kind.

    Empty where nothing is found. A package stands for the modules in it. Imports nothing. Raises BadInput for a module
    of Python itself.
    """
    kind, _, name = source.partition(":")
    if source in BUILTIN or not name or kind in PACKAGES:
        return None
    top = kind.partition(".")[0]
    if top in sys.stdlib_module_names:  # os:abort in a manifest is no network either
        raise BadInput(f"{source}: {kind} is a module of Python itself and makes no network; use {KNOWN}")
    see_working_folder()
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # __main__, or made by hand
        return str(getattr(sys.modules.get(top), "__file__", None) or "")
    if found is None:
        return ""
    places = [found.origin] if found.origin is not None else list(found.submodule_search_locations or ())
    return os.pathsep.join(os.path.realpath(place) for place in places)


def _timm(name: str) -> Callable[..., Any]:
    timm = packages.timm(f"timm:{name}")
    if not timm.is_model(name):
        raise BadInput(f"timm:{name}: timm has no network of this name")
    return lambda **choices: timm.create_model(name, pretrained=False, **choices)


def _torchvision(name: str) -> Callable[..., Any]:
    models = packages.torchvision_models(f"torchvision:{name}")
    if name not in models.list_models():
        raise BadInput(f"torchvision:{name}: torchvision has no network of this name")
    return lambda **choices: models.get_model(name, weights=None, **choices)


def _accepted(source: str, function: Any, chosen: Mapping[str, Any], model_args: Mapping[str, Any]) -> dict[str, Any]:
    """What a user's function is called with: all model_args, and what it takes of `chosen`.

    A function without parameters for that has fixed it itself; what it returns is checked by its first use. Raises
    BadInput for what is no function, model_args that it does not take, and what it asks for that is not given.
    """
    try:
        parameters: Mapping[str, inspect.Parameter] = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise BadInput(f"{source} is not a function that returns a network") from error
    if getattr(function, "__init__", None) is nn.Module.__init__:  # it takes anything, and means nothing by it
        parameters = {}
    anything = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    named = [each for each in parameters.values() if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    names = [each.name for each in named]
    for name in model_args:
        if not anything and name not in names:
            raise BadInput(f"{source} has no argument {name}; it has {', '.join(names) or 'none'}")
    given = {**{name: value for name, value in chosen.items() if anything or name in names}, **model_args}
    for each in named:
        if each.default is each.empty and each.name not in given:
            raise BadInput(f"{source} asks for an argument {each.name}: give it with `model_args`")
    return given


def _call(source: str, factory: Callable[..., Any], choices: dict[str, Any]) -> nn.Module:
    try:
        model = factory(**choices)
    except (Exception, SystemExit) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in choices.items())
        raise BadInput(f"{source}({given}) cannot be built: {first_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise BadInput(f"{source} returned a {type(model).__name__}, not an nn.Module")
    return model
