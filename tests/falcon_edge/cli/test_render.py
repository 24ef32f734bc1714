"""Figures in tables, as people read them."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from falcon_edge.cli.render import findings_table, manifest_table
from falcon_edge.documents import read_document
from falcon_edge.manifest import Manifest, PlacedUnit
from runtime_bench.regression import Finding, Tolerances, Verdict

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "manifest.json"


def drawn(table):
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("figure", ["latency", "paced", "cold", "paced over 30 commits"])
def test_latencies_have_their_unit_however_they_were_measured(figure):
    finding = Finding("net", figure, 1e5, 2e5, 1.0, (0.9, 1.1), 0.05, Verdict.regression, "slower", "base", "local")
    said = drawn(findings_table("regression", [finding], Tolerances(), None))
    assert "0.100 ms" in said
    assert "0.200 ms" in said


def test_what_a_function_was_called_with_is_shown():
    manifest = read_document(EXAMPLE, Manifest)
    given = manifest.architecture.model_copy(update={"source": "nets:net", "model_args": {"depth": 3, "kind": "small"}})
    said = drawn(manifest_table(manifest.model_copy(update={"architecture": given})))
    assert 'nets:net(depth=3, kind="small")' in said


def test_a_manifest_says_what_unit_its_network_is_built_of():
    manifest = read_document(EXAMPLE, Manifest)
    for options, said in (({"rank": 2}, "falcon_branch (rank 2) in 2 layers"), ({}, "falcon_branch in 2 layers")):
        unit = PlacedUnit(name="falcon_branch", options=options, layers=("0", "3"))
        given = manifest.architecture.model_copy(update={"unit": unit})
        assert said in drawn(manifest_table(manifest.model_copy(update={"architecture": given})))
