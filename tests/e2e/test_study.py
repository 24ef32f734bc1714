"""Studies from the command line: made, measured, reported, and made by Ray."""

import csv
import os
import sys
from importlib.util import find_spec

import pytest
from environments import environment
from program import run

STUDY = """
models = ["vgg8"]
widths = [0.125]
data = "stripes.npz"

[train]
learning_rate = 0.1
epochs = 1
batch_size = 64

[tune]
learning_rate = 0.05
epochs = [1]
batch_size = 64

[[cells]]
form = ["falcon"]
rank = [1]
seeds = [0, 1]
"""
STANDARD, FALCON = "vgg8-0.125-standard-1-s0", "vgg8-0.125-falcon-1-svd-1-s0"


@pytest.fixture
def folder(stripes, tmp_path):
    (tmp_path / "stripes.npz").symlink_to(stripes)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def rows(folder, name="made"):
    with (folder / name / "study.csv").open() as file:
        return {row["cell"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_a_study_is_made_measured_and_reported(warm, folder):
    made = warm("study study.toml -o made --json", folder)
    assert made.code == 0, made.err
    assert [record["cell"]["what"] for record in made.document] == ["standard"] * 2 + ["falcon"] * 2
    words = "--runs 3 --seconds 0 --warm-up 0 --processes 1 --rounds 1 --every 5ms --ticks 3 --samples 20"
    measured = warm(f"study measure made {words} --json", folder)
    assert measured.code == 0, measured.err
    names = [entry["model"]["name"] for entry in measured.document["entries"]]
    assert names == [name for name in (STANDARD, FALCON) for _ in range(4)]
    table = rows(folder)
    assert float(table[FALCON]["litert int8 paced us"]) > 0
    assert float(table[FALCON]["onnxruntime int8 top1"]) <= 1
    assert table[FALCON.replace("-s0", "-s1")]["litert int8 us"] == ""
    assert int(table[FALCON]["macs"]) < int(table[STANDARD]["macs"])
    again = warm("study study.toml -o made -q", folder)
    assert again.code == 0
    assert rows(folder) == table
    said = warm("study report made -o made.html --json", folder)
    assert {claim["word"] for claim in said.document} <= {"holds", "does not hold", "not measured"}
    assert "p50 latency" in (folder / "made.html").read_text()
    assert warm("study report made -o made.md", folder).code == 0
    assert "| LiteRT int8, paced, us |" in (folder / "made.md").read_text()


def test_a_cell_that_fails_ends_with_4_and_one_line(warm, folder):
    (folder / "made/cells").mkdir(parents=True)
    (folder / "made/cells" / f"{FALCON}.falcon").write_text("no bundle")
    made = warm("study study.toml -o made -q", folder)
    assert made.code == 4
    assert made.err.strip().splitlines() == [made.err.strip()]
    assert f"error: {FALCON}: " in made.err
    assert "no bundle" not in rows(folder)[FALCON]["failed"]
    assert "exists and is not a bundle" in rows(folder)[FALCON]["failed"]


def test_a_command_that_is_written_wrong_is_no_study(warm, folder):
    for words, meant in (("mesure made", "measure"), ("reprot made -o made.md", "report")):
        tried = warm(f"study {words}", folder)
        assert tried.code == 2
        assert "No such command" in tried.err
        assert f"Did you mean '{meant}'?" in tried.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("study nothing.toml -o made", "nothing.toml: cannot be read"),
        ("study study.toml -o made --processes 2 --ray", "give either --processes or --ray"),
        ("study measure made", "made: holds no study"),
        ("study report made -o made.pdf", "made.pdf: write to an .html or an .md"),
    ],
)
def test_what_cannot_be_is_one_line(warm, folder, words, said):
    done = warm(words, folder)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_ray_makes_the_same_table(folder, request):
    """In a cluster of this machine's CPUs, two of them at least; ray is no requirement of the tests."""
    made = run("study study.toml -o made -q", folder)
    assert made.code == 0, made.err
    paths = [os.environ.get("PYTHONPATH", "")]
    if find_spec("ray") is None:
        paths.append(str(environment("ray", request.config.cache, sys.version_info[:2]).packages))
    by_ray = run("study study.toml -o by-ray --ray -q", folder, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    assert by_ray.code == 0, by_ray.err
    assert (folder / "by-ray/study.csv").read_bytes() == (folder / "made/study.csv").read_bytes()
