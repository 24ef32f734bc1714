"""Where there is no torch, as on a board: files are measured, compared and inspected; the rest says what it needs."""

import pytest
from program import run

MISSING = """
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")


sys.meta_path.insert(0, Missing())
"""
QUICK = "--runs 4 --seconds 0 --warm-up 0 --ticks 4 --processes 1 --rounds 1 -q"


@pytest.fixture
def bare(flow, tmp_path):
    """Runs a command in the folder of the flow, without torch."""
    (tmp_path / "sitecustomize.py").write_text(MISSING)
    return lambda command: run(command, flow.folder, PYTHONPATH=str(tmp_path))


@pytest.mark.slow
def test_files_are_measured_and_read(bare, flow, tmp_path):
    results = tmp_path / "results.json"
    done = bare(f"bench standard.falcon falcon.falcon --data stripes.npz --profile {QUICK} -o {results}")
    assert done.code == 0, done
    assert "top-1" in done.out
    for command in (
        f"compare {results}",
        f"report {results} -o {tmp_path / 'report.html'}",
        f"check {results} --baseline {results} --allow-missing",
        "inspect standard.falcon/exports/model.fp32.onnx",
    ):
        done = bare(command)
        assert done.code in ((0, 3) if command.startswith("check") else (0,)), done


@pytest.mark.parametrize("command", ["compress standard.falcon --rank 1 -o bare", "export standard.falcon"])
def test_what_needs_it_says_so(bare, flow, command):
    done = bare(command)
    assert done.code == 2
    assert done.err.splitlines()[-1] == "error: this needs torch, which is not installed here: pip install torch"
    assert not (flow.folder / "bare.falcon").exists()
