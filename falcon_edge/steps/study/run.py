"""A study carried out: cells made as soon as what they begin with is there, and a table that is always whole."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from falcon_edge.data import open_dataset
from falcon_edge.data.formats import SAMPLE
from falcon_edge.documents import canonical_json
from falcon_edge.errors import BadInput
from falcon_edge.place import locked
from falcon_edge.progress import Progress, Result, silent
from falcon_edge.steps.study.backends import Backend, Ended, Here, Processes, Ray, Said
from falcon_edge.steps.study.cells import STANDARD, Cell, cells_of
from falcon_edge.steps.study.document import Study
from falcon_edge.steps.study.making import Record, Task, cell_bundle, cells_folder, failure, records_of
from falcon_edge.steps.study.table import write_table
from falcon_edge.training.running import Running
from runtime_bench.files import write

STUDY = "study.json"


@dataclass(frozen=True)
class Means:
    """How a study is carried out, which decides nothing of what comes out: processes here, or tasks of Ray."""

    processes: int = 1
    ray: bool = False
    accelerator: str = "cpu"

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise BadInput(f"`processes` {self.processes}: at least 1")
        if self.ray and self.processes != 1:
            raise BadInput("give either `processes` or `ray`, whose cluster says how many there are")

    @contextmanager
    def backend(self, heard: Callable[[Said], None]) -> Iterator[Backend]:
        """What makes cells, ended with the block. heard: gets what cells say that are made in this process."""
        found: Backend
        if self.ray:
            found = Ray(self.accelerator)
        elif self.processes > 1 or Running(self.accelerator).accelerator == "cuda":
            found = Processes(self.processes, self.accelerator)
        else:
            found = Here(heard)
        try:
            yield found
        finally:
            found.close()


def run_study(
    study: Study,
    folder: Path,
    means: Means = Means(),
    *,
    progress: Progress = silent,
) -> dict[str, Record]:
    """Make every cell that is not done; the records of all, in the study's order, by name.

    A cell whose record says what came of it is done, also without its bundle, unless others begin with that.
    folder: gets study.json, cells/ and study.csv. A cell that fails has a record that says why, and is tried again the
    next time. Raises BadInput for a study that cannot be, and for a folder that holds another one's cells.
    """
    study = _with_data(study)
    cells = cells_of(study)
    with locked(folder / STUDY):
        records = records_of(folder, cells)  # before anything is made
        cells_folder(folder).mkdir(parents=True, exist_ok=True)
        write(canonical_json(study), folder / STUDY)
        write_table(folder, cells)
        _Run(study, folder, cells, means, progress, _done(folder, cells, records)).all()
        write_table(folder, cells)
        return records_of(folder, cells)


def _done(folder: Path, cells: Sequence[Cell], records: Mapping[str, Record]) -> set[str]:
    """What is made: it has a record that says so, and its bundle where something begins with it that is not made."""
    done = {name for name, record in records.items() if record.made is not None}
    needed = {cell.begins for cell in cells if cell.name not in done and cell.begins is not None}
    return {name for name in done if name not in needed or cell_bundle(folder, name).exists()}


def _with_data(study: Study) -> Study:
    """A study that says where its data is, from anywhere, and what is in it. Raises BadInput for data it cannot use."""
    data = study.data if study.data == SAMPLE else str(Path(study.data).absolute())
    dataset = open_dataset(data)
    digest = hashlib.sha256()
    for name in ("train", "test"):
        dataset.require(name)
    for name, split in dataset.splits.items():
        if split is not None:
            digest.update(f"{name} {len(split)} {split.digest()}".encode())
    return study.model_copy(update={"data": data, "digest": digest.hexdigest()})


@dataclass
class _Run:
    study: Study
    folder: Path
    cells: Sequence[Cell]
    means: Means
    progress: Progress
    done: set[str]
    failed: set[str] = field(default_factory=set)
    running: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.named = {cell.name: cell for cell in self.cells}

    def all(self) -> None:
        """Make what is left, a seed after the other: standard networks first, for others wait for them."""
        left = [cell for cell in self.cells if cell.name not in self.done]
        left.sort(key=lambda cell: (cell.seed, cell.kind != STANDARD))
        if not left:
            return
        with self.means.backend(self.hear) as backend:
            while left or self.running:
                for cell in [cell for cell in left if cell.begins in self.failed]:
                    left.remove(cell)
                    self.end(Ended(cell.name, f"{cell.begins}, which it begins with, failed"))
                while len(self.running) < backend.slots and (ready := self.ready(left)) is not None:
                    left.remove(ready)
                    self.running[ready.name] = "begins"
                    self.tell()
                    backend.start(self.task(ready))
                if self.running:
                    event = backend.event()
                    self.hear(event) if isinstance(event, Said) else self.end(event)

    def ready(self, left: Sequence[Cell]) -> Cell | None:
        """The next cell that has what it begins with, if there is one."""
        return next((cell for cell in left if cell.begins is None or cell.begins in self.done), None)

    def task(self, cell: Cell) -> Task:
        """What a backend is given."""
        return Task(self.folder.absolute(), cell, self.study.data, self.means.accelerator)

    def hear(self, said: Said) -> None:
        """A cell says where it is."""
        self.running[said.name] = said.text
        self.tell()

    def end(self, ended: Ended) -> None:
        """A cell is done, or has failed."""
        self.running.pop(ended.name, None)
        if ended.failed is None:
            self.done.add(ended.name)
            self.tell()
        else:
            self.failed.add(ended.name)
            failed = failure(self.folder, self.named[ended.name], ended.failed)
            self.tell(Result(f"{ended.name} failed: {failed.failed}"))
        write_table(self.folder, self.cells)

    def tell(self, result: str | None = None) -> None:
        """How far the study is."""
        ended = len(self.done) + len(self.failed)
        texts = " | ".join(f"{name}: {text}" for name, text in self.running.items())
        said = f"{ended} of {len(self.cells)} cells" + (f"; {texts}" if texts else "")
        self.progress(ended, len(self.cells), said if result is None else result)
