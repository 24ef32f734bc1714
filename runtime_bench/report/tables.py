"""The tables of a report: rows of texts, and the numbers that they are sorted by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from runtime_bench.report.entries import ShownEntry

HEADERS = {"place": "device", "run": "results"}  # of the parts of a shown; others go by their own name


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
    """A column of a table of entries. form: how its numbers are written."""

    title: str
    value: Callable[[ShownEntry], Cell | float | str | None]
    form: Callable[[float], str] = "{:,}".format

    def cell(self, shown: ShownEntry) -> Cell:
        """Empty for what there is not."""
        value = self.value(shown)
        if isinstance(value, Cell):
            return value
        if value is None or isinstance(value, str):
            return Cell(value or "")
        return Cell(self.form(value), value)


def field(path: str) -> Callable[[ShownEntry], Any]:
    """Reads a field of the entry, as in 'memory.peak'; None where something on the way to it is."""

    def value(shown: ShownEntry) -> Any:
        found: Any = shown.entry
        for name in path.split("."):
            found = None if found is None else getattr(found, name)
        return found

    return value


def of_entries(title: str, entries: Sequence[ShownEntry], columns: Sequence[Column]) -> Table | None:
    """A row a shown, without columns that nothing is in; None if nothing is in any."""
    rows = [[column.cell(shown) for column in columns] for shown in entries]
    kept = [place for place in range(len(columns)) if any(row[place].text for row in rows)]
    if not kept:
        return None
    return Table(
        title,
        (*headers(entries), *(columns[place].title for place in kept)),
        tuple((*identity(shown), *(row[place] for place in kept)) for shown, row in zip(entries, rows, strict=True)),
    )


def headers(entries: Sequence[ShownEntry]) -> list[str]:
    """The columns that tell entries apart."""
    return [HEADERS.get(name, name) for shown in entries[:1] for name in shown.parts]


def identity(shown: ShownEntry) -> list[Cell]:
    """What tells a shown from others."""
    return [Cell(value, float(value) if value.isdecimal() else None) for value in shown.parts.values()]
