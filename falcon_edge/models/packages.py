"""timm and torchvision, imported where they can be; where they cannot, the true reason."""

import importlib
import sys
from types import ModuleType

import torch

from falcon_edge.errors import BadInput

# What torchvision looks for when it is imported. Its own library defines them, unless it was made for another torch (a
# CPU torch beside PyPI's torchvision): then they are only declared, for no network calls them.
OPERATORS = ("nms", "qnms")
_declared: list[torch.library.Library] = []  # a library takes its operators with it


def torchvision_models(wanted: str) -> ModuleType:
    """torchvision.models, for the network `wanted`. Raises BadInput if it cannot be imported."""
    _torchvision()
    return _imported("torchvision.models", wanted, "pip install torchvision")


def timm(wanted: str) -> ModuleType:
    """timm, for the network `wanted`. Raises BadInput if it cannot be imported."""
    _torchvision()  # timm imports it
    return _imported("timm", wanted, "pip install 'falcon-edge[timm]'")


def _torchvision() -> None:
    """Import torchvision, with its operators declared where its own library does not fit this torch.

    Whatever else is wrong with it shows again where it is needed.
    """
    if "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in OPERATORS:
            if not hasattr(torch.ops.torchvision, operator):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)


def _imported(module: str, wanted: str, install: str) -> ModuleType:
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name in (package, module):
            raise BadInput(f"{wanted} needs {package}: {install}") from error
        raise BadInput(f"{wanted}: {package} cannot be imported, for it lacks {error.name}; install that") from error
    except Exception as error:  # a package beside the wrong torch may raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"{wanted}: {package} is installed but cannot be imported: {reason}") from error
