"""Where a network comes from: our own by name, `timm:NAME`, `torchvision:NAME` or `module:function`; its weights."""

import importlib
import inspect
import math
import sys
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from falcon_edge.errors import BadInput
from falcon_edge.models import packages
from falcon_edge.models.resnet import resnet18, resnet34
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
# A weights file may hold more than the weights (an optimizer's moments, 64-bit numbers), but not without end.
TIMES_NEEDED, BESIDES = 8, 64 * 1024**2
MAXIMUM_NETWORK, MAXIMUM_COUNT = 8 * 1024**3, 1_000_000
PARALLEL, BATCH_COUNTER = "module.", ".num_batches_tracked"
KNOWN = f"{', '.join(BUILTIN)}, timm:NAME, torchvision:NAME or module:function"


def build(
    source: str, *, num_classes: int | None = None, in_channels: int | None = None, width: float = 1.0
) -> nn.Module:
    """A network with fresh weights, in eval mode. None leaves a choice to the network itself.

    Raises BadInput for an unknown source, one whose package is missing, or a choice that the source does not offer.
    """
    counts = [count for count in (num_classes, in_channels) if count is not None]
    if min(counts, default=1) < 1 or max(counts, default=1) > MAXIMUM_COUNT or not 0 < width < math.inf:
        raise BadInput(f"{source}: classes and channels are at least 1 (at most {MAXIMUM_COUNT}), the width is above 0")
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
    kind, _, name = source.partition(":")
    if not name:
        raise BadInput(f"{source}: not a bundle and no known network; use {KNOWN}")
    if width != 1.0:
        raise BadInput(f"{source}: --width is for {', '.join(BUILTIN)}")
    wanted = {"num_classes": num_classes, "in_channels": in_channels}
    if kind == "timm":
        factory, wanted = _timm(name), {"num_classes": num_classes, "in_chans": in_channels}
    elif kind == "torchvision":
        factory = _torchvision(name)
        if in_channels in (None, 3):
            wanted.pop("in_channels")
    else:
        factory = _function(kind, name)
    return _call(source, factory, {key: value for key, value in wanted.items() if value is not None}).eval()


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a state dict (.safetensors, or .pt/.pth by weights_only) that fits `model` exactly.

    A state dict inside a training checkpoint ("state_dict" or "model"), the prefix "module." of data-parallel training
    and the missing batch counters of torch before 0.4 are understood. Raises BadInput, before the model is changed, for
    anything else.
    """
    state, own = read_state(path, largest_file(model)), model.state_dict()
    if state and all(key.startswith(PARALLEL) and key not in own for key in state):
        state = {key.removeprefix(PARALLEL): value for key, value in state.items()}
    state |= {key: value for key, value in own.items() if key.endswith(BATCH_COUNTER) and key not in state}
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    if missing or unexpected:
        word, key = ("lack", missing[0]) if missing else ("have the unknown", unexpected[0])
        raise BadInput(f"{path}: these weights do not fit the network: they {word} {key}")
    for key, tensor in own.items():
        if tensor.shape != state[key].shape:
            found, needed = tuple(state[key].shape), tuple(tensor.shape)
            raise BadInput(f"{path}: these weights do not fit the network: {key} is {found}, not {needed}")
        if not torch.isfinite(state[key].to(tensor.dtype)).all():
            raise BadInput(f"{path}: {key} holds values that are not finite")
    model.load_state_dict(state)


def largest_file(model: nn.Module) -> int:
    """Bytes that a file of weights for `model` may have."""
    return TIMES_NEEDED * sum(tensor.nbytes for tensor in model.state_dict().values()) + BESIDES


def read_state(path: Path, largest: int | None = None) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pt file by name.

    Raises BadInput if the file is not that, or if it holds (also when it is unpacked) more than `largest` bytes.
    """
    if not path.is_file():
        raise BadInput(f"{path}: no such weights file")
    try:
        held = path.stat().st_size if path.suffix == ".safetensors" else max(path.stat().st_size, _unpacked(path))
        if largest is not None and held > largest:
            raise BadInput(f"{path}: holds more than {largest >> 20} MiB, far more than this network has weights")
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle that is refused next
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"{path}: not a weights file; use .safetensors, or .pt made by torch.save(model.state_dict(), ...)"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise BadInput(f"{path}: holds no state dict (names and tensors)")
    strange = next((name for name, tensor in state.items() if not _plain(tensor)), None)
    if strange is not None:
        raise BadInput(f"{path}: {strange} is no plain tensor of real numbers")
    return state


def _unpacked(path: Path) -> int:
    """Bytes that a zip file, which a .pt is, says to hold; 0 for anything else."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _plain(tensor: Tensor) -> bool:
    """Whether a tensor has its numbers here, one a place."""
    here = tensor.layout is torch.strided and tensor.device.type == "cpu"
    return here and not (tensor.is_complex() or tensor.is_quantized)


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


def _function(module: str, name: str) -> Callable[..., Any]:
    if module.partition(".")[0] in sys.stdlib_module_names:  # os:abort in a manifest is no network either
        raise BadInput(f"{module}:{name}: {module} is a module of Python itself and makes no network; use {KNOWN}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does: users' networks lie in the folder they work in
    try:
        function = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # a script without a guard may parse its arguments and end
        raise BadInput(f"{module}:{name} cannot be imported: {_line(error)}; use {KNOWN}") from error
    try:
        accepted = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise BadInput(f"{module}:{name} is not a function that returns a network") from error
    own = getattr(function, "__init__", None) is not nn.Module.__init__  # which takes anything, and means nothing by it
    if own and any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        return function
    # A function without these parameters has fixed them itself; what it returns is checked by its first use.
    return lambda **choices: function(**{key: value for key, value in choices.items() if key in accepted})


def _call(source: str, factory: Callable[..., Any], choices: dict[str, Any]) -> nn.Module:
    try:
        model = factory(**choices)
    except Exception as error:
        raise BadInput(f"{source} cannot be built with {choices}: {_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise BadInput(f"{source} returned a {type(model).__name__}, not an nn.Module")
    return model


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
