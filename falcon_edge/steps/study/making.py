"""One cell: its bundle, and the record of what came of it."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from falcon_edge.bundle import open_bundle
from falcon_edge.data import Dataset, open_dataset
from falcon_edge.documents import Document, canonical_json, read_document
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Manifest
from falcon_edge.notices import Notice
from falcon_edge.place import bundle_path, hold
from falcon_edge.progress import Progress, silent
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.study.cells import Cell
from falcon_edge.steps.study.document import form_at
from falcon_edge.steps.study.matching import matched_width, wanted_macs
from falcon_edge.steps.train import train_bundle
from falcon_edge.training.running import Running
from runtime_bench.files import write

TOP1 = "top1"


class Made(Document):
    """What a cell's network turned out to be. network_width: its multiplier; top1: a share of the test images."""

    network_width: float
    parameters: int
    macs: int
    top1: float
    interval: tuple[float, float] | None
    images: int


class Record(Document):
    """cells/NAME.json: a cell, and what came of it; neither `made` nor `failed`: it was begun."""

    schema_version: Literal[1] = 1
    cell: Cell
    made: Made | None = None
    failed: str | None = None
    seconds: float | None = Field(default=None, description="of the run that ended it")
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A cell to make in the folder of its study. data: what is opened."""

    folder: Path
    cell: Cell
    data: str
    accelerator: str = "cpu"


def cells_folder(folder: Path) -> Path:
    """Where bundles and records of a study are."""
    return folder / "cells"


def cell_bundle(folder: Path, name: str) -> Path:
    """Where a cell's bundle is."""
    return bundle_path(cells_folder(folder) / name)


def record_path(folder: Path, name: str) -> Path:
    """Where a cell's record is."""
    return cells_folder(folder) / f"{name}.json"


def read_record(folder: Path, cell: Cell) -> Record | None:
    """What there is of a cell. Raises BadInput where another one has its name."""
    path = record_path(folder, cell.name)
    if not path.exists():
        return None
    record = read_document(path, Record)
    if record.cell != cell:
        differing = [name for name in Cell.model_fields if getattr(record.cell, name) != getattr(cell, name)]
        raise BadInput(f"{path}: is of another {' and '.join(differing)}; write to another folder, or remove it")
    return record


def write_record(folder: Path, record: Record) -> None:
    """As a whole."""
    write(canonical_json(record), record_path(folder, record.cell.name))


def make(task: Task, progress: Progress = silent) -> Record:
    """Make a cell's bundle, or go on with it, and write its record; whoever calls writes those of failures.

    A bundle that is there already, whose record says that this cell was begun, is taken as it is; one without a record
    is removed, since nothing says what it holds.
    """
    begun, cell = time.monotonic(), task.cell
    bundle = cell_bundle(task.folder, cell.name)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", Notice)
        if read_record(task.folder, cell) is None:
            with hold(bundle, force=True) as place:
                place.clear()  # before a record says that this cell was begun
        if not bundle.exists():
            write_record(task.folder, Record(cell=cell))
            _make_bundle(task, bundle, progress)
        manifest = open_bundle(bundle).manifest
    record = Record(
        cell=cell,
        made=_made(manifest),
        seconds=round(time.monotonic() - begun, 3),
        notices=tuple(dict.fromkeys(str(each.message) for each in heard if issubclass(each.category, Notice))),
    )
    write_record(task.folder, record)
    return record


def _make_bundle(task: Task, bundle: Path, progress: Progress) -> None:
    cell, running = task.cell, Running(task.accelerator)
    dataset = open_dataset(task.data)
    dataset.require("test")
    begins = None if cell.begins is None else cell_bundle(task.folder, cell.begins)
    if cell.kind != "form":
        choice = _choice(cell, dataset)
        train_bundle(
            *(choice, dataset, bundle, cell.made_by), teacher=begins, running=running, force=True, progress=progress
        )
        return
    assert begins is not None  # what is compressed is the standard network
    compress_bundle(
        *(Choice(str(begins)), bundle),
        data=dataset,
        rank=cell.rank,
        target_macs=_share(cell, begins),
        form=cell.what,
        init=cell.init,  # type: ignore[arg-type]  # as cells were checked
        recipe=cell.made_by,
        running=running,
        force=True,
        progress=progress,
    )


def _share(cell: Cell, standard: Path) -> float | None:
    """The share of the standard network's MACs that a form is to have, where it has no rank."""
    if cell.macs_of is None:
        return None
    network = open_network(Choice(str(standard)))
    wanted, own = wanted_macs(network.module, network.input.shape, *form_at(cell.macs_of))
    return wanted / own


def _choice(cell: Cell, dataset: Dataset) -> Choice:
    """The network that is trained from scratch."""
    choice = Choice(cell.model, input_shape=cell.input, width=cell.width, seed=cell.seed)
    if cell.unit is None:
        return choice
    width = cell.width
    if cell.macs_of is not None:
        network = open_network(choice, dataset)
        shape = network.input.shape
        wanted, _ = wanted_macs(network.module, shape, *form_at(cell.macs_of))
        width, _ = matched_width(cell.model, cell.unit, shape, len(network.labels), wanted, width)
    return Choice(cell.model, input_shape=cell.input, width=width, seed=cell.seed, unit=cell.unit)


def _made(manifest: Manifest) -> Made:
    top1 = next((each for each in manifest.quality if each.metric == TOP1 and each.split == "test"), None)
    if top1 is None:
        raise BadInput(f"{manifest.name}: its test images have no classes; a study is of classifiers")
    return Made(
        network_width=manifest.architecture.width,
        parameters=manifest.parameters,
        macs=manifest.macs,
        top1=top1.value,
        interval=top1.interval,
        images=top1.samples,
    )


def failure(folder: Path, cell: Cell, text: str) -> Record:
    """The record of a cell that failed, written."""
    record = Record(cell=cell, failed=" ".join(text.split()) or "it failed without a word")
    write_record(folder, record)
    return record


def records_of(folder: Path, cells: Sequence[Cell]) -> dict[str, Record]:
    """What there is of cells, by their names. Raises BadInput as `read_record`."""
    found = {cell.name: read_record(folder, cell) for cell in cells}
    return {name: record for name, record in found.items() if record is not None}
