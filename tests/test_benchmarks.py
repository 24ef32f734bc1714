"""Benchmarks are run by hand, seldom: here at least that each still finds what it imports of ours, by its names."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(path for path in FOLDER.rglob("*.py") if "__main__" in path.read_text())
# Without their main; those of a folder import one another.
IMPORT = """
import runpy, sys
for script in sys.argv[1:]:
    assert callable(runpy.run_path(script, run_name="imported")["main"])
"""


@pytest.mark.parametrize("folder", sorted({script.parent for script in SCRIPTS}), ids=lambda path: path.name)
def test_they_find_what_they_import(folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{FOLDER.parent}:{folder}")
    scripts = [script for script in SCRIPTS if script.parent == folder]
    done = subprocess.run([sys.executable, "-c", IMPORT, *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_table_of_the_frontier_is_fresh():
    command = [sys.executable, FOLDER / "frontier.py", FOLDER / "records/frontier", "--step", "table"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("| vgg8 | epochs |"), done.stderr
    assert done.stdout in (FOLDER.parent / "docs/plans.md").read_text()


def test_there_are_some():
    assert {"speedup.py", "gate.py", "checker.py"} <= {script.name for script in SCRIPTS}
