"""The tables of a report: rows of texts, and the numbers that they are sorted by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runtime_bench.report.subjects import Subject

HEADERS = {"place": "device", "run": "results"}  # of the parts of a subject; others go by their own name


@dataclass(frozen=True)
class Cell:
    """A text, the number that it is sorted by if it is one, and a note below it (an interval)."""

    text: str
    number: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows that can be sorted and copied. folded: shown only when asked for."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers."""
        return tuple(any(cell.number is not None for cell in column) for column in zip(*self.rows, strict=True))


@dataclass(frozen=True)
class Column:
    """A column of a table of subjects. form: how its numbers are written."""

    title: str
    value: Callable[[Subject], Cell | float | str | None]
    form: Callable[[float], str] = "{:,}".format

    def cell(self, subject: Subject) -> Cell:
        """Empty for what there is not."""
        value = self.value(subject)
        if isinstance(value, Cell):
            return value
        if value is None or isinstance(value, str):
            return Cell(value or "")
        return Cell(self.form(value), value)


def field(path: str) -> Callable[[Subject], Any]:
    """Reads a field of the entry, as in 'accuracy.samples'; None where something on the way to it is."""

    def value(subject: Subject) -> Any:
        found: Any = subject.entry
        for name in path.split("."):
            found = None if found is None else getattr(found, name)
        return found

    return value


def of_subjects(title: str, subjects: Sequence[Subject], columns: Sequence[Column]) -> Table | None:
    """A row a subject, without columns that nothing is in; None if nothing is in any."""
    rows = [[column.cell(subject) for column in columns] for subject in subjects]
    kept = [place for place in range(len(columns)) if any(row[place].text for row in rows)]
    if not kept:
        return None
    return Table(
        title,
        (*headers(subjects), *(columns[place].title for place in kept)),
        tuple(
            (*identity(subject), *(row[place] for place in kept)) for subject, row in zip(subjects, rows, strict=True)
        ),
    )


def headers(subjects: Sequence[Subject]) -> list[str]:
    """The columns that tell subjects apart."""
    return [HEADERS.get(name, name) for subject in subjects[:1] for name in subject.parts]


def identity(subject: Subject) -> list[Cell]:
    """What tells a subject from others."""
    return [Cell(value, float(value) if value.isdecimal() else None) for value in subject.parts.values()]
