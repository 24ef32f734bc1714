"""Real architectures: torch -> .onnx -> torch -> .onnx, as good as the first file is (docs/zoo.md)."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import zoo
from imported import imported, noise

from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.runtimes import run_onnx

pytestmark = pytest.mark.skipif(zoo.missing() is not None, reason=str(zoo.missing()))

PAGE = Path(__file__).parents[4] / "docs" / "zoo.md"
FAST = ("timm:test_resnet", "timm:convnext_atto")
ENOUGH, LESS = 100.0, 3.0  # dB


def figures():
    """The SNR (dB) of each network's first file against torch, as the page has it."""
    rows = [
        [cell.strip() for cell in line.split("|")] for line in PAGE.read_text().splitlines() if line.startswith("|")
    ]
    head = next(row for row in rows if "network" in row)
    place = head.index("fp32, dB")
    named = [row for row in rows if len(row) == len(head) and ": " in row[1]]
    return {row[1].replace(": ", ":"): float(row[place].split(",")[0]) for row in named}


def there_and_back(name, folder):
    """(SNR in dB of: torch against the second file, the first file against it, the module against the first file)."""
    member = zoo.MEMBERS[name]
    network, images = zoo.make(member), noise((4, 3, member.side, member.side))
    first, second = folder / "first.onnx", folder / "second.onnx"
    sample = torch.zeros(1, 3, member.side, member.side)
    export_onnx(network, sample, first)
    module = imported(onnx.load(first))
    export_onnx(module, sample, second)
    assert module.bound is None
    with torch.no_grad():
        logits, again = network(torch.from_numpy(images)).numpy(), module(torch.from_numpy(images)).numpy()
    before, after = run_onnx(first, images)[0], run_onnx(second, images)[0]
    return snr_db(logits, after), snr_db(before, after), snr_db(before, again)


def check(name, folder):
    asked = min(ENOUGH, figures()[name] - LESS)
    found = there_and_back(name, folder)
    assert min(found) >= asked, (name, found)
    print(f"{name}: {' '.join(f'{each:.0f}' for each in found)} dB, {asked:.0f} asked")


@pytest.mark.parametrize("name", FAST)
def test_small_ones(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.MEMBERS if name not in FAST])
def test_the_whole_zoo(name, tmp_path):
    check(name, tmp_path)


def test_every_network_has_a_figure():
    assert figures().keys() == zoo.MEMBERS.keys()
    assert np.isfinite(list(figures().values())).all()
