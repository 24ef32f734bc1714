"""Reports of studies, on made-up figures: every figure with its seeds and epochs, and nothing where there is none."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from made_up_studies import networks, record, study

from falcon_edge.documents import canonical_json
from falcon_edge.errors import BadInput
from falcon_edge.steps.study.cells import cells_of, longest_trained
from falcon_edge.steps.study.claims import claims_of
from falcon_edge.steps.study.making import write_record
from falcon_edge.steps.study.report import markdown, report_of, write_report
from falcon_edge.steps.study.table import write_table
from runtime_bench.report.headline import certainty
from runtime_bench.results import load

EXAMPLE = Path(__file__).parents[4] / "docs/examples/results.json"

SWEEP = {"form": ("falcon",), "rank": (1,), "init": ("svd", "whitened"), "epochs": (1, 10), "seeds": (0, 1)}
FIGURES = {
    "standard-20-s0": 0.9,
    "standard-20-s1": 0.92,
    "falcon-1-svd-1-s0": 0.8,
    "falcon-1-svd-10-s0": 0.88,
    "falcon-1-svd-10-s1": 0.9,
    "falcon-1-whitened-10-s0": 0.87,
}
COSTS = {"standard": (8000, 80_000), "falcon-1": (1000, 10_000)}
MEASURED = {
    "vgg19-0.25-falcon-1-svd-10-s0": {
        "onnxruntime fp32 us": 12.0,
        "onnxruntime fp32 us low": 11.5,
        "onnxruntime fp32 us high": 12.5,
        "onnxruntime int8 us": 6.0,
        "onnxruntime int8 top1": 0.875,
    }
}


@pytest.fixture
def report():
    made = networks(study(SWEEP), FIGURES, COSTS, MEASURED)
    return report_of("made up", made, claims_of(made))


def test_groups_say_what_their_interval_is_of(report):
    (_, section, _) = report.sections
    rows = {(row[0].text, row[1].text, row[2].text): [cell.text for cell in row] for row in section.tables[0].rows}
    assert rows["standard", "", "20"][3:9] == ["2", "8,000", "80,000", "91.00%", "78.29..100.00", "t, 2 seeds"]
    assert rows["falcon-1", "svd", "10"][6:9] == ["89.00%", "76.29..100.00", "t, 2 seeds"]
    assert rows["falcon-1", "whitened", "10"][6:9] == ["87.00%", "86.50..87.50", "binomial, 10,000 images"]


def test_what_was_not_measured_is_empty(report):
    (_, section, _) = report.sections
    table = section.tables[0]
    assert table.columns[9:] == ("ONNX Runtime fp32, us", "ONNX Runtime int8, us", "ONNX Runtime int8, top-1")
    rows = {(row[0].text, row[1].text, row[2].text): [cell.text for cell in row[9:]] for row in table.rows}
    assert rows["standard", "", "20"] == ["", "", ""]
    assert rows["falcon-1", "svd", "10"] == ["12.0", "6.0", "87.50%"]
    assert rows["falcon-1", "whitened", "10"] == ["12.0", "6.0", ""]  # its files may have another accuracy


def test_plots_are_of_what_is_known_and_say_seeds_and_epochs(report):
    (_, section, budgets) = report.sections
    assert [figure.name for figure in section.figures] == [
        *("parameters-0", "macs-0", "onnxruntime-fp32-0", "onnxruntime-int8-0"),
    ]
    parameters, _, floats, integers = section.figures
    assert [mark["name"] for mark in parameters.data] == [
        "standard, 20 epochs, 2 seeds",
        "falcon-1, svd, 10 epochs, 2 seeds",
    ]
    assert [(mark["x"], mark["y"]) for mark in floats.data] == [([12.0], [89.0])]
    assert [(mark["x"], mark["y"]) for mark in integers.data] == [([6.0], [87.5])]
    assert [mark["x"] for mark in budgets.figures[0].data if mark["mode"] == "markers"] == [[1, 10]]


def test_what_makes_latencies_doubtful_is_said_above_all():
    made = networks(study(SWEEP), FIGURES, COSTS, MEASURED)
    entries = [entry for entry in load(EXAMPLE).entries if entry.flags]
    contents = report_of("made up", made, claims_of(made), [certainty(entries)])
    said = f"Certainty: {len(entries)} of {len(entries)} doubtful; "
    assert markdown(contents).startswith(f"# made up\n\n{said}")
    assert f"flagged: {entries[0].flags[0].flag}" in markdown(contents)


def test_epochs_are_whole_numbers(report):
    (_, _, budgets) = report.sections
    assert budgets.figures[0].layout["xaxis"]["tickvals"] == [1, 10]


def test_markdown_has_all_tables(report):
    text = markdown(report)
    assert text.startswith("# made up\n")
    assert "| falcon-1 | svd | 10 | 2 | 1,000 | 10,000 | 89.00% |" in text
    assert "| vgg19, width 0.25 |" in text
    assert text.count("| not measured |") == 3


def test_a_folder_becomes_a_page_and_tables(tmp_path):
    made_up = study(SWEEP)
    cells = cells_of(made_up)
    with pytest.raises(BadInput, match="holds no study"):
        write_report(tmp_path, tmp_path / "report.md")
    (tmp_path / "cells").mkdir()
    (tmp_path / "study.json").write_bytes(canonical_json(made_up))
    for cell in cells[:3]:
        write_record(tmp_path, record(cell, 0.9, 8000, 80_000))
    claims = write_report(tmp_path, tmp_path / "report.html")
    assert {claim.network for claim in claims} == {"vgg19, width 0.25"}
    page = (tmp_path / "report.html").read_text()
    assert f"3 of {len(cells)} cells of sample are made" in page
    assert "standard" in page
    assert not re.search(r"(src|href)=.https?:", page)
    assert claims == write_report(tmp_path, tmp_path / "report.md")
    assert page == (tmp_path / "report.html").read_text()
    write_table(tmp_path, cells)
    rows = [*csv.DictReader(io.StringIO((tmp_path / "study.csv").read_text()))]
    assert [row["cell"] for row in rows] == [cell.name for cell in cells]
    assert [row["top1"] for row in rows] == ["0.9"] * 3 + [""] * (len(cells) - 3)
    assert json.loads((tmp_path / "study.json").read_text())["models"] == ["vgg19"]


def test_one_of_each_structure_is_measured():
    cells = cells_of(study(SWEEP))
    chosen = [cell.name.partition("-0.25-")[2] for cell in longest_trained(cells)]
    assert chosen == ["standard-20-s0", "falcon-1-svd-10-s0"]
    without = [cell for cell in cells if "svd-10" not in cell.name]
    chosen = [cell.name.partition("-0.25-")[2] for cell in longest_trained(without)]
    assert chosen == ["standard-20-s0", "falcon-1-whitened-10-s0"]
