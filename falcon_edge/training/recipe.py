"""How a network is trained on images: recipes, by name or by what is said of them."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from falcon_edge.errors import BadInput
from falcon_edge.training.loop import Descent


@dataclass(frozen=True)
class Recipe(Descent):
    """How a network is trained on images: see Descent.

    flip, crop_padding, cutout: see `Changes`. mixup: alpha of the beta distribution by which pairs of images are mixed
    (Zhang et al., arXiv 1710.09412, section 2); 0: none. label_smoothing: see `Labels`. find_rate: learning_rate is the
    first to be tried; where it does not serve, lower ones follow (see `history`).
    """

    batch_size: int = 128
    flip: bool = True
    crop_padding: int = 0
    find_rate: bool = False
    cutout: int = 0
    mixup: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 2 or min(self.crop_padding, self.cutout) < 0:
            raise BadInput("a batch size is at least 2, crop padding and the side of a cutout at least 0")
        if not (0 <= self.mixup < math.inf and 0 <= self.label_smoothing < 1):
            raise BadInput("the alpha of mixup is at least 0, label smoothing lies in 0..1")

    @property
    def said(self) -> dict[str, Any]:
        """Its fields, as files have them."""
        return asdict(self) | {"milestones": list(self.milestones)}


# FALCON paper, section 4.1: SGD, batches of 128, 0.1 divided by ten at epochs 150 and 250 of 350; of 256 for 90 epochs
# on ImageNet, where its reference implementation divides at 30 and 60.
PAPER = {
    "learning_rate": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "warm_up": 0.0,
    "schedule": "steps",
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": PAPER | {"epochs": 350, "milestones": (150 / 350, 250 / 350), "batch_size": 128, "crop_padding": 4},
    "imagenet": PAPER | {"epochs": 90, "milestones": (30 / 90, 60 / 90), "batch_size": 256},
    "short": {"epochs": 20, "learning_rate": 0.1, "schedule": "one-cycle", "batch_size": 128, "weight_decay": 5e-4},
}


def fields_named(name: str, folder: Path = Path()) -> Mapping[str, Any] | None:
    """What a preset says, or a .toml that lies in a folder; None for a name of neither. Raises BadInput."""
    if name in PRESETS:
        return PRESETS[name]
    return read_recipe(folder / name) if name.endswith(".toml") else None


def read_recipe(path: Path) -> dict[str, Any]:
    """The fields of a recipe that a .toml names. Raises BadInput, with the file's name."""
    try:
        said = tomllib.loads(path.read_text())
        _values(said)
        return said
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BadInput(f"{path}: is no TOML ({error})") from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def recipe_with(own: Mapping[str, Any], said: Mapping[str, Any]) -> Recipe:
    """What is said, over what a verb does by itself; a learning rate is found unless one is said. Raises BadInput."""
    return recipe_of({**own, "find_rate": "learning_rate" not in said, **said})


def recipe_of(said: Mapping[str, Any]) -> Recipe:
    """A recipe by its fields. Raises BadInput for one that there is not, and for a value that it cannot have."""
    return Recipe(**_values(said))


def _values(said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are said, of their kinds. Raises BadInput."""
    known = [field.name for field in fields(Recipe)]
    unknown = [name for name in said if name not in known]
    if unknown:
        raise BadInput(f"{unknown[0]}: a recipe has no such thing; it has {', '.join(known)}")
    kinds = get_type_hints(Recipe)
    values: dict[str, Any] = {}
    for name, value in said.items():
        given = tuple(value) if isinstance(value, list) else value
        try:
            values[name] = TypeAdapter(kinds[name]).validate_python(given, strict=True)
        except ValidationError as error:
            first = error.errors()[0]["msg"]
            raise BadInput(f"{name}: {first[0].lower()}{first[1:]}") from error
    return values
