"""README.md, "From your checkpoint to a phone": every line of it runs, in its order, on a small data set."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from arm64 import require
from phone import ADB, Phone
from program import run
from torch import nn

from runtime_bench.results import load

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("adb")]
README = Path(__file__).parents[2] / "README.md"
QUICK = " --runs 2 --seconds 0 --warm-up 0 --ticks 4 --processes 1 --rounds 1"
VERBS = ["pack", "compress", "export", "export", "bench", "compare", "bench", "report", "embed"]


def section():
    found = re.search(r"## From your checkpoint to a phone\n(.*?)\n## ", README.read_text(), re.DOTALL)
    code = re.search(r"```python\n(# nets.py\n.*?)```", found[1], re.DOTALL)
    return code[1], [line.strip() for line in found[1].splitlines() if line.startswith("    falcon-edge ")]


@pytest.fixture
def trained(tmp_path, stripes):
    """A folder with nets.py, and a checkpoint of that network that a loop of the user's own made."""
    code, _ = section()
    (tmp_path / "nets.py").write_text(code)
    names = {}
    exec(code, names)
    network = names["net"](3, depth=3)
    arrays = np.load(stripes)
    spec = arrays["x_train"]
    images = torch.from_numpy((spec / 255 - spec.mean() / 255) / (spec.std() / 255)).float().unsqueeze(1)
    labels = torch.from_numpy(arrays["y_train"])
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()
    torch.save({"epoch": 60, "state_dict": network.state_dict()}, tmp_path / "checkpoint.pt")
    (tmp_path / "android_demo/app/src/main").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def program(trained):
    """The program with a phone on USB, which is a shell on this machine that has Python."""
    require(*([] if ADB else ["no adb here: apt-get install adb"]))
    phone = Phone(trained / "phone", python=sys.executable)
    start = "from runtime_bench.devices.adb import AdbDevice; AdbDevice.folder = 'data/falcon-edge'"
    yield (sys.executable, "-c", f"{start}; from falcon_edge.cli.main import main; main()"), phone.port
    phone.close()


def test_every_line_runs(trained, stripes, program):
    program, port = program
    commands = section()[1]
    assert [shlex.split(line)[1] for line in commands] == VERBS
    told = []
    for line in commands:
        words = shlex.join(shlex.split(line, comments=True)[1:]).replace("DATA", str(stripes))
        words += QUICK if words.startswith("bench") else ""
        done = run(words, trained, program=program, ANDROID_ADB_SERVER_PORT=str(port))
        assert done.code == 0, done
        told += re.findall("next: falcon-edge (.*)", done.err)
    here, there = (load(trained / name) for name in ("here.json", "phone.json"))
    for results in (here, there):
        assert len(results.entries) == 8
        assert [entry.failure for entry in results.entries] == 8 * [None]
        assert {each.within_tolerance for entry in results.entries for each in entry.agreement} == {True}
    assert {entry.device for entry in there.entries} == {"adb"}
    assert here.entries[0].quality[0].value > 0.9
    assert (trained / "report.html").stat().st_size > 1_000_000
    embedded = trained / "android_demo/app/src/main/assets/models"
    assert {path.name for path in embedded.iterdir()} >= {"standard", "small", "index.json"}
    # What they say comes next is what the README has next, up to names.
    assert [shlex.split(words)[0] for words in told] == [*VERBS[1:6], "compare"]
