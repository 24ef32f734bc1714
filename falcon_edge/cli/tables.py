"""Tables that fit a terminal: cells break between words, and columns that find no room stand in a table below."""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from runtime_bench.text import terminal

if TYPE_CHECKING:  # rich is imported where it is used: --help must answer at once
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

    Cell = str | Text

LONG = 24  # signs; a longer word breaks behind one of these, too: names of layers and files
INSIDE = re.compile(r"(?<=[/._:-])(?=[^/._:-])")
# Where no line breaks: before a unit, as in 0.5 ms, and behind a sign, as in ± 8%.
KEPT = re.compile(r"(?<=\d) (?=(?:ms|us|MB|GB|M|dB|points?)\b)|(?<=±) ")


class Table:
    """Rows under titles, without the columns that nothing is in.

    keys: so many columns say what a row is, and stand in every part. left: titles whose cells begin at the left, if not
    all do; gap: spaces between columns.
    """

    def __init__(
        self,
        *titles: str,
        name: str = "",
        keys: int = 1,
        left: Collection[str] | None = None,
        gap: int = 2,
        heading: bool = True,
    ):
        self.titles, self.name, self.keys = titles, name, keys
        self.left, self.gap, self.heading = left, gap, heading
        self.rows: list[tuple[Cell, ...]] = []

    def add_row(self, *cells: "Cell") -> None:
        """One cell for each title."""
        self.rows.append(cells)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[RenderableType]":
        """Its parts, one below the other, each within the width."""
        if self.name:
            yield self.name
        columns = [
            _Column(title, [row[place] for row in self.rows], heading=self.heading, is_key=place < self.keys)
            for place, title in enumerate(self.titles)
        ]
        shown = [column for column in columns if any(column.cells)] or columns
        for number, part in enumerate(self._parts(shown, options.max_width)):
            if number:
                yield ""
            yield self._drawn(part, options.max_width)

    def _parts(self, columns: "Sequence[_Column]", width: int) -> "list[list[_Column]]":
        """As many columns in each as there is room for their longest words."""
        keys = [column for column in columns if column.is_key]
        parts = [list(keys)]
        for column in columns[len(keys) :]:
            if len(parts[-1]) > len(keys) and self._room(parts[-1], width) < column.least + self.gap:
                parts.append(list(keys))
            parts[-1].append(column)
        return parts

    def _room(self, part: "Sequence[_Column]", width: int) -> int:
        """What is left of a line."""
        return width - sum(column.least for column in part) - self.gap * (len(part) - 1)

    def _drawn(self, part: "Sequence[_Column]", width: int) -> "RenderableType":
        from rich import box
        from rich.table import Table as Drawn

        widths = _widths(part, width - self.gap * (len(part) - 1))
        table = Drawn(
            box=box.SIMPLE_HEAD, show_edge=False, padding=(0, self.gap - 1, 0, 0), pad_edge=False,
            show_header=self.heading,
        )  # fmt: skip
        for column, its in zip(part, widths, strict=True):
            at_left = self.left is None or column.name in self.left
            table.add_column(_wrapped(column.title, its), justify="left" if at_left else "right", no_wrap=True)
        for cells in zip(*(column.cells for column in part), strict=True):
            table.add_row(*(_wrapped(cell, its) for cell, its in zip(cells, widths, strict=True)))
        return table


class _Column:
    """A title, what stands under it, the width of its longest word, and that of its longest cell."""

    def __init__(self, name: str, cells: "Sequence[Cell]", *, heading: bool, is_key: bool):
        from rich.cells import cell_len

        self.name, self.is_key = name, is_key
        self.title, self.cells = terminal(name), [_harmless(cell) for cell in cells]
        texts = [*([self.title] if heading else []), *map(str, self.cells)]
        self.least = max(cell_len(piece.strip()) for text in texts for piece in _pieces(text))
        self.most = max(map(cell_len, texts))


def _harmless(cell: "Cell") -> "Cell":
    return terminal(cell) if isinstance(cell, str) else cell


def _widths(part: "Sequence[_Column]", room: int) -> list[int]:
    """Of columns, together at most `room`: more than their longest words first where that is a whole cell.

    Then where a cell has the most lines.
    """
    widths = [column.least for column in part]
    while sum(widths) > room and max(widths) > 1:  # a word that is longer than a line
        widths[widths.index(max(widths))] -= 1
    share = room // len(part)
    for _ in range(room - sum(widths)):
        narrow = [place for place, column in enumerate(part) if widths[place] < column.most]
        if not narrow:
            break
        short = [place for place in narrow if part[place].most <= share]
        lines = {place: math.ceil(part[place].most / widths[place]) for place in narrow}
        widths[short[0] if short else max(narrow, key=lambda place: (lines[place], -part[place].most))] += 1
    return widths


def _wrapped(cell: "Cell", width: int) -> "Text":
    from rich.text import Text

    style = "" if isinstance(cell, str) else cell.style
    return Text("\n".join(_lines(str(cell), width)), style=style)


def _lines(text: str, width: int) -> list[str]:
    from rich.cells import cell_len, chop_cells

    lines = [""]
    for piece in _pieces(text):
        if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        *full, rest = chop_cells(piece, width) if cell_len(piece.rstrip()) > width else [piece]
        lines[-1:] = [*full, lines[-1] + rest] if not full else [*full, rest]
    lines[-1] = lines[-1].rstrip()
    return lines


def _pieces(text: str) -> list[str]:
    """What of a text stays on one line; a space belongs to the piece before it."""
    found = []
    for word in re.split(r"(?<= )(?! )", KEPT.sub("\N{NO-BREAK SPACE}", text)):
        found += INSIDE.split(word) if len(word.strip()) > LONG else [word]
    return [piece.replace("\N{NO-BREAK SPACE}", " ") for piece in found]
