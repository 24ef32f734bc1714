"""docs/python.md, and README's ten lines: what they show runs, on a small module and a few images."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import falcon_edge
from falcon_edge.bundle import open_bundle
from runtime_bench.bench import Protocol
from runtime_bench.compare import compare

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/python.md"
QUICK = Protocol(runs=3, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)


def loader(stripes, split):
    arrays = np.load(stripes)
    x = torch.from_numpy(arrays[f"x_{split}"]).float().unsqueeze(1) / 255
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, torch.from_numpy(arrays[f"y_{split}"])), batch_size=32
    )


@pytest.fixture
def run(stripes, tmp_path, monkeypatch):
    """Runs code over a module and its loaders, measuring next to nothing; what it leaves."""
    monkeypatch.chdir(tmp_path)
    plain = falcon_edge.BenchRequest
    monkeypatch.setattr(falcon_edge, "BenchRequest", lambda **choices: plain(QUICK, **choices), raising=False)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(512, 3)
    )
    names = {
        "torch": torch,
        "model": model,
        "example": torch.zeros(1, 1, 12, 12),
        "labels": ("rows", "columns", "noise"),
        "loader": loader(stripes, "train"),
        "validation": loader(stripes, "test"),
        "criterion": nn.functional.cross_entropy,
        "optimiser": None,
    }

    def run(code):
        exec(code, names)
        return names

    return run


def test_the_code_of_the_page_runs(run, tmp_path):
    names = run("".join(re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)))
    rows = compare([names["results"]])
    assert [row.entry.failure for row in rows] == 8 * [None]
    assert {row.standard.model.name for row in rows} == {"standard"}
    lineages = [open_bundle(tmp_path / f"{name}.falcon").manifest.lineage for name in ("standard", "small", "tuned")]
    assert {lineage.parent.identity for lineage in lineages[1:]} == {lineages[0].identity}
    assert lineages[2].steps[-1].options["tuned"]["epochs"] == 3
    assert all(row.entry.quality[0].metric == "top1" for row in rows)
    assert {each.within_tolerance for row in rows for each in row.entry.agreement} == {True}


def test_the_ten_lines_of_the_readme_run(run):
    (code,) = re.findall(r"```python\n(import falcon_edge.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(code.splitlines()) == 10
    rows = compare([run(code)["results"]])
    assert [(row.entry.failure, row.standard.model.name) for row in rows] == 8 * [(None, "standard")]


def test_every_name_that_it_tells_is_there():
    told = set(re.findall(r"`fe\.(\w+)|\bfe\.(\w+)", DOCS.read_text()))
    assert {one or other for one, other in told} <= set(falcon_edge.__all__)
