"""What a study is: the file that says which networks are made, and how they are trained."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from falcon_edge.data.formats import SAMPLE
from falcon_edge.documents import Document, read_at_most
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.units import UNITS, unit_named
from falcon_edge.falcon.units.unit import Unit
from falcon_edge.models.sources import check_source
from falcon_edge.steps.compress import Init
from falcon_edge.training.loop import SEEDS
from falcon_edge.training.recipe import PRESETS, Recipe, fields_named, recipe_of, recipe_with

LARGEST = 1 << 20
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
OPTIONS = ("expansion", "groups")  # of units, beside their rank


class Sweep(Document):
    """One [[cells]] table: every combination of what its lists have.

    form: fitted to the trained kernels, at each `rank` and by each `init`, then tuned for each of `epochs` (the study's
    [tune]); unit: trained from scratch (its [train]). macs_of, as in "falcon-1": in the place of a rank, the MACs of
    that form at that rank, met by a form's sizes or by the width of a unit's network. taught: a unit learns from the
    standard network, too. seeds: the study's, unless given.
    """

    form: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    rank: tuple[int, ...] = ()
    macs_of: str | None = None
    init: tuple[str, ...] = ()
    expansion: int | None = None
    groups: int | None = None
    taught: bool = False
    seeds: tuple[Seed, ...] = ()
    epochs: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _goes_together(self) -> "Sweep":
        if bool(self.form) == bool(self.unit):
            raise ValueError("give either form or unit")
        known = FORMS if self.form else UNITS
        for name in (*self.form, *self.unit):
            if name not in known:
                raise ValueError(f"{name} is none of {', '.join(known)}")
        if self.form and (bool(self.rank) == (self.macs_of is not None)):
            raise ValueError("a form needs either rank or macs_of")
        if self.form and (self.taught or self.expansion is not None or self.groups is not None):
            raise ValueError(
                "taught, expansion and groups are of units: a form has the standard network as its teacher"
            )
        if self.unit and self.init:
            raise ValueError("init is of forms: a unit begins with fresh weights")
        if min((*self.rank, *self.epochs), default=1) < 1:
            raise ValueError("ranks and epochs are at least 1")
        if self.macs_of is not None:
            form_at(self.macs_of)
        other = next((init for init in self.init if init not in get_args(Init)), None)
        if other is not None:
            raise ValueError(f"init {other}: is none of {', '.join(get_args(Init))}")
        for option in (*self.options, *(["rank"] if self.unit and self.rank else [])):
            if not any(option in _options_of(name) for name in self.unit):
                raise ValueError(f"{option}: none of {', '.join(self.unit)} has it")
        try:
            for name in self.unit:
                self.units(name)
        except BadInput as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def options(self) -> dict[str, int]:
        """What is said of units, beside their rank."""
        return {name: value for name in OPTIONS if (value := getattr(self, name)) is not None}

    def units(self, name: str) -> list[Unit]:
        """The units of a name, one at every rank where it has ranks, with the options that it has."""
        known = _options_of(name)
        given = {option: value for option, value in self.options.items() if option in known}
        ranks = self.rank if "rank" in known else ()
        return [unit_named(name, given | {"rank": rank}) for rank in ranks] or [unit_named(name, given)]


def _options_of(unit: str) -> set[str]:
    return {field.name for field in fields(UNITS[unit])}


def form_at(text: str) -> tuple[str, int]:
    """'falcon-1' as a form and its rank. Raises ValueError."""
    form, _, rank = text.rpartition("-")
    if form not in FORMS or not (rank.isascii() and rank.isdecimal() and int(rank) >= 1):
        raise ValueError(f"{text} is no form with a rank, as falcon-1")
    return form, int(rank)


class Study(Document):
    """A study: models and widths, each with seeds, and what is made of them.

    data: a path, or 'sample'; digest: of what is there, once it was opened. input: CxHxW; by default from the data or
    the paper. train: the fields of the recipe from scratch; tune: those of what begins with the standard network, and
    tunings: for how many epochs, each by itself.
    """

    schema_version: Literal[1] = 1
    models: tuple[str, ...] = Field(min_length=1)
    widths: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    data: str
    digest: str | None = None
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    input: tuple[int, int, int] | None = None
    train: dict[str, Any]
    tune: dict[str, Any] = Field(default={})
    tunings: tuple[int, ...] = ()
    cells: tuple[Sweep, ...] = ()

    @field_validator("input", mode="before")
    @classmethod
    def _read_shape(cls, value: Any) -> Any:
        value = [int(part) for part in value.split("x")] if isinstance(value, str) else value
        if isinstance(value, list) and len(value) != 3:
            raise ValueError("write channels x height x width, as in 3x32x32")
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _goes_together(self) -> "Study":
        if not all(0.01 <= width <= 16 for width in self.widths):
            raise ValueError("widths lie in 0.01..16")
        if min(self.tunings, default=1) < 1:
            raise ValueError("tune.epochs: at least 1")
        if not self.tunings and any(sweep.form and not sweep.epochs for sweep in self.cells):
            raise ValueError("tune.epochs: is needed for cells of forms, as [1, 5, 10]")
        return self

    def training(self, seed: int, epochs: int | None = None) -> Recipe:
        """From scratch."""
        return recipe_of(self.train | {"seed": seed} | ({} if epochs is None else {"epochs": epochs}))

    def tuning(self, seed: int, epochs: int) -> Recipe:
        """From the standard network."""
        return recipe_of(self.tune | {"seed": seed, "epochs": epochs})


def read_study(path: Path, data: str | None = None) -> Study:
    """The study of a .toml; what it names lies in its folder. data: in the place of what it says.

    Raises BadInput with the first thing that is wrong, and where.
    """
    try:
        said = tomllib.loads(read_at_most(path, LARGEST).decode())
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BadInput(f"{path}: is no TOML ({error})") from error
    for table in ("train", "tune"):
        if not isinstance(said.get(table, {}), dict):
            raise BadInput(f"{path}: {table}: is no table")
    own = {"tunings": "it is tune.epochs", "digest": "it is of the data"}
    for name in own.keys() & said.keys():
        raise BadInput(f"{path}: {name}: a study has no such thing; {own[name]}")
    tune = dict(said.get("tune", {}))
    tunings = tune.pop("epochs", [])
    if data is not None:
        said["data"] = data
    elif isinstance(said.get("data"), str) and said["data"] != SAMPLE:
        said["data"] = str(path.parent / said["data"])
    made = said | {
        "train": _recipe(path, "train", said.get("train", {}), {"epochs": 0}),
        "tune": _recipe(path, "tune", tune, {"epochs": 1}),
        "tunings": tunings if isinstance(tunings, list) else [tunings],
    }
    study = _parsed(path, made)
    for model, width in product(study.models, study.widths):
        try:
            check_source(model, width)
        except BadInput as error:
            raise BadInput(f"{path}: models: {error}") from error
    return study


def _recipe(path: Path, table: str, said: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
    """All fields of a recipe that a table names, the seed apart. A learning rate is found unless one is said."""
    own = dict(said)
    named = own.pop("recipe", [])
    names = named if isinstance(named, list) else [named]
    fields: dict[str, Any] = {}
    for name in names:
        if not isinstance(name, str):
            raise BadInput(f"{path}: {table}.recipe: {name} is no text")
        known = fields_named(name, path.parent)
        if known is None:
            raise BadInput(f"{path}: {table}.recipe: {name} is none of {', '.join(PRESETS)}, and no .toml")
        fields |= known
    fields |= own
    if "seed" in fields:
        raise BadInput(f"{path}: {table}.seed: seeds are those of the study")
    try:
        made = recipe_with(first, fields).said
    except BadInput as error:
        raise BadInput(f"{path}: {table}: {error}") from error
    if made["epochs"] == 0:
        raise BadInput(f"{path}: {table}.epochs: is missing, or 0")
    return {name: value for name, value in made.items() if name != "seed"}


def _parsed(path: Path, said: Mapping[str, Any]) -> Study:
    try:
        return Study.model_validate_json(json.dumps(said, default=str), strict=True)  # lists are tuples in JSON alone
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]).replace("tunings", "tune.epochs")
        what = "a study has no such thing" if first["type"] == "extra_forbidden" else first["msg"]
        what = what.removeprefix("Value error, ")
        raise BadInput(f"{path}: {place}: {what}" if place else f"{path}: {what}") from error
