"""The cells of a study: one network each, by name, and in the order of its file."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain, product
from pathlib import Path
from typing import Any

from pydantic import Field

from falcon_edge.documents import Document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.units import unit_named
from falcon_edge.falcon.units.unit import Unit
from falcon_edge.steps.compress import Init
from falcon_edge.steps.study.document import Study, Sweep
from falcon_edge.training.recipe import Recipe, recipe_of

Structure = tuple[str, float, str]  # model, width, and `size`
STANDARD = "standard"
SVD: Init = "svd"


class Cell(Document):
    """One network of a study, and all that decides what becomes of it.

    data: the name of the data; digest: of what it holds. kind: form, unit or standard; what: its name. macs_of: the
    form and rank whose MACs it has, as falcon-1. taught: a unit that learns from a standard network, too. begins: the
    name of the standard network's cell that it begins with or learns from. recipe: its fields, seed and epochs among
    them.
    """

    model: str
    width: float
    input: tuple[int, int, int] | None
    data: str
    digest: str | None = None
    kind: str
    what: str
    options: dict[str, int] = Field(default={})
    rank: int | None = None
    macs_of: str | None = None
    init: str | None = None
    taught: bool = False
    begins: str | None = None
    recipe: dict[str, Any]

    @property
    def seed(self) -> int:
        """Of weights, batches and augmentation."""
        return int(self.recipe["seed"])

    @property
    def epochs(self) -> int:
        """Of its training or tuning."""
        return int(self.recipe["epochs"])

    @property
    def made_by(self) -> Recipe:
        """How it is trained."""
        return recipe_of(self.recipe)

    @property
    def unit(self) -> Unit | None:
        """What it is built of, if it is a unit."""
        return unit_named(self.what, self.options) if self.kind == "unit" else None

    @property
    def size(self) -> str:
        """The rank, options and share of it, in words that go into a name: 'falcon-1', 'mobilev2-expansion2'."""
        options = [f"{name}{value}" for name, value in self.options.items() if name != "rank"]
        rank = [] if self.rank is None else [str(self.rank)]
        as_other = [] if self.macs_of is None else [f"as-{self.macs_of}"]
        kind = ["unit"] if self.kind == "unit" and self.what in FORMS else []
        return "-".join([*kind, self.what, *options, *rank, *as_other, *(["taught"] if self.taught else [])])

    @property
    def structure(self) -> Structure:
        """What its latency depends on: all but weights. A teacher is none of it, but the cells stay apart."""
        return self.model, self.width, self.size

    @property
    def group(self) -> tuple[str, float, str, str, int]:
        """What cells have in common that differ by their seed alone."""
        return *self.structure, self.init or "", self.epochs

    @property
    def name(self) -> str:
        """As in vgg19-0.25-falcon-1-svd-10-s0: the stem of its files."""
        model = re.sub(r"[^A-Za-z0-9_.]+", "-", self.model).strip("-.")
        parts = [model, f"{self.width:g}", self.size, self.init, str(self.epochs), f"s{self.seed}"]
        return "-".join(part for part in parts if part)


def cells_of(study: Study) -> tuple[Cell, ...]:
    """All cells, a model and width after the other; of each the standard networks first.

    What several [[cells]] name is there once. Raises BadInput for two cells of one name.
    """
    found: dict[str, Cell] = {}
    for model, width in product(study.models, study.widths):
        for cell in _of_network(study, model, width):
            if found.setdefault(cell.name, cell) != cell:
                raise BadInput(f"two different cells would be called {cell.name}: give models, widths other names")
    return tuple(found.values())


def longest_trained(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """One cell for each structure: the first with the most epochs.

    cells: in the study's order, which has the first seed and the first initialisation in front.
    """
    found: dict[Structure, Cell] = {}
    for cell in cells:
        if cell.epochs > found.setdefault(cell.structure, cell).epochs:
            found[cell.structure] = cell
    return tuple(found.values())


def _of_network(study: Study, model: str, width: float) -> Iterator[Cell]:
    seeds = dict.fromkeys([*study.seeds, *(seed for sweep in study.cells for seed in sweep.seeds)])
    own: dict[str, Any] = {
        "model": model,
        "width": width,
        "input": study.input,
        "data": Path(study.data).name,
        "digest": study.digest,
    }
    standards = {
        seed: Cell(**own, kind=STANDARD, what=STANDARD, recipe=study.training(seed).said) for seed in sorted(seeds)
    }
    yield from standards.values()
    for sweep in study.cells:
        make = _of_form if sweep.form else _of_unit
        by_seed = [
            [*make(study, sweep, seed, own | {"begins": standards[seed].name})] for seed in sweep.seeds or study.seeds
        ]
        yield from chain.from_iterable(zip(*by_seed, strict=True))  # seeds of one side by side


def _of_form(study: Study, sweep: Sweep, seed: int, own: dict[str, Any]) -> Iterator[Cell]:
    ranks: tuple[int | None, ...] = sweep.rank or (None,)
    for form, rank, init, epochs in product(sweep.form, ranks, sweep.init or (SVD,), sweep.epochs or study.tunings):
        recipe = study.tuning(seed, epochs).said
        yield Cell(**own, kind="form", what=form, rank=rank, macs_of=sweep.macs_of, init=init, recipe=recipe)


def _of_unit(study: Study, sweep: Sweep, seed: int, own: dict[str, Any]) -> Iterator[Cell]:
    own = own if sweep.taught else own | {"begins": None}
    budgets: tuple[int | None, ...] = sweep.epochs or (None,)
    for name, epochs in product(sweep.unit, budgets):
        for unit in sweep.units(name):
            yield Cell(
                **own,
                kind="unit",
                what=name,
                options=unit.options,
                rank=unit.options.get("rank"),
                macs_of=sweep.macs_of,
                taught=sweep.taught,
                recipe=study.training(seed, epochs).said,
            )
