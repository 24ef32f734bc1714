"""A small network, made by the commands themselves: trained, compressed, exported, measured and compared."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from program import Done, WarmProgram, run

ROOT = Path(__file__).parents[2]
PACKAGES = ("falcon_edge", "converters", "runtime_bench")
COMMANDS = {
    "train": "train vgg8 --width 0.25 --data stripes.npz --epochs 4 --batch-size 32 -o standard",
    "compress": "compress standard.falcon --data stripes.npz --rank 1 --finetune-epochs 2 --batch-size 32 -o falcon",
    "export standard": "export standard.falcon",
    "export": "export falcon.falcon",
    "bench": "bench standard.falcon falcon.falcon --data stripes.npz --runs 6 --seconds 0 --warm-up 0 "
    "--ticks 4 --processes 1 -o results.json",
    "compare": "compare results.json",
    "inspect": "inspect falcon.falcon",
}


@dataclass(frozen=True)
class Flow:
    """The folder in which COMMANDS were run, and what came of each."""

    folder: Path
    done: dict[str, Done]


@pytest.fixture(scope="session")
def flow(stripes, tmp_path_factory):
    """The whole flow, each command in a fresh process. Nothing may be changed in its folder."""
    folder = tmp_path_factory.mktemp("flow")
    shutil.copy(stripes, folder)
    done = {}
    for name, command in COMMANDS.items():
        done[name] = run(command, folder)
        assert done[name].code == 0, done[name]
    return Flow(folder, done)


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """The program without the seconds that it takes to import torch."""
    with WarmProgram(tmp_path_factory.mktemp("warm")) as program:
        yield program


@pytest.fixture(scope="session")
def again(flow, warm, stripes, tmp_path_factory):
    """The whole flow once more, elsewhere and with --json."""
    folder = tmp_path_factory.mktemp("again")
    shutil.copy(stripes, folder)
    done = {}
    for name, command in COMMANDS.items():
        done[name] = warm(f"{command} --json", folder)
        assert done[name].code == 0, done[name]
    return Flow(folder, done)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Built from a copy of the sources, so that no earlier build can get into it."""
    sources, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("built")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = built.iterdir()
    return path
