"""Tables within a terminal: nothing is cut, and lines break between words."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from falcon_edge.cli.tables import Table


def drawn(table, width=80):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(table)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    return [line.rstrip() for line in lines]


def filled(*rows, titles=("layer", "top-1", "reason"), **choices):
    table = Table(*titles, **choices)
    for row in rows:
        table.add_row(*row)
    return table


def test_what_fits_is_one_line_a_row():
    lines = drawn(filled(("conv1", "94.70% (93.6..95.6)", "first layer")))
    assert lines == [
        "layer  top-1                reason",
        "───────────────────────────────────────",
        "conv1  94.70% (93.6..95.6)  first layer",
    ]


def test_intervals_break_at_their_brackets():
    lines = drawn(filled(("conv1", "94.70% (93.6..95.6)", "0.093 ms ± 8%")), 36)
    assert lines[2:] == ["conv1  94.70%        0.093 ms ± 8%", "       (93.6..95.6)"]


def test_a_unit_stays_at_its_number():
    lines = drawn(filled(("conv1", "1.78 MB", "0.093 ms ± 8%")), 25)
    assert lines[2:] == ["conv1  1.78 MB  0.093 ms", "                ± 8%"]


def test_columns_without_room_stand_below_with_what_their_rows_are():
    lines = drawn(filled(("features", "94.70% (93.6..95.6)", "parameters")), 24)
    assert lines == [
        "layer     top-1",
        "──────────────────────",
        "features  94.70%",
        "          (93.6..95.6)",
        "",
        "layer     reason",
        "────────────────────",
        "features  parameters",
    ]


def test_a_long_name_breaks_between_its_parts():
    name = "/features/denseblock1/denselayer1/conv/Conv"
    lines = drawn(filled((name, "94.70%", "kept as it is")), 48)
    assert lines[2:] == [
        "/features/denseblock1/  94.70%  kept as it is",
        "denselayer1/conv/Conv",
    ]


@pytest.mark.parametrize("width", [7, 20, 80])
def test_a_word_that_no_line_can_hold_is_folded(width):
    lines = drawn(filled(("x" * 100, "y", "")), width)
    assert "".join(lines).count("x") == 100


def test_columns_with_nothing_in_them_are_left_out():
    assert drawn(filled(("conv1", "", "kept")))[0].split() == ["layer", "reason"]
    assert drawn(Table("layer", "top-1"))[0].split() == ["layer", "top-1"]


def test_numbers_end_at_the_right_and_colours_stay():
    table = filled(
        ("a", Text("5.66x (4.70..6.08)", style="green")), ("b", "1.00x"), titles=("model", "speedup"), left={"model"}
    )
    assert drawn(table)[2:] == ["a      5.66x (4.70..6.08)", "b                   1.00x"]
    console = Console(width=20, file=io.StringIO(), color_system="standard", force_terminal=True)
    console.print(table)
    assert console.file.getvalue().count("\x1b[32m") == 2


def test_titles_break_too():
    lines = drawn(filled(("a", "1.00x"), titles=("model", "paced share of all")), 18)
    assert lines == ["       paced share", "model  of all", "──────────────────", "a      1.00x"]


def test_what_others_wrote_is_harmless():
    assert drawn(filled(("a\x1b[2J\n", "b", "c")))[2].split()[0] == "a\\x1b[2J\\n"
