"""The program with a board whose shell, tools, Python and runtimes are an arm64 machine's, which QEMU emulates."""

import os
import shutil
from pathlib import Path

import pytest
from arm64 import require
from arm64_machine import Machine
from board import SSHD, Board
from program import run

import falcon_edge
from runtime_bench.devices.arm64.device import NATIVE

if NATIVE:
    pytest.skip("this machine is an arm64 one", allow_module_level=True)
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("arm64 sessions")]  # one process of xdist makes the machine
SAMPLE = Path(falcon_edge.__file__).parent / "data/sample/vgg8.falcon"
KINDS = [f"{precision}.{target}" for precision in ("fp32", "int8") for target in ("onnx", "ort", "tflite")]
SHORT = "--runs 2 --seconds 0 --warm-up 0 --ticks 4 --processes 1 --rounds 1"
BENCH = f"bench falcon.falcon --data sample --samples 50 {SHORT} --json"


@pytest.fixture(scope="module")
def machine(request, tmp_path_factory):
    return Machine(request.config.cache, tmp_path_factory.mktemp("arm64"))


@pytest.fixture(scope="module")
def falcon(tmp_path_factory):
    """A folder with the network that ships with us at rank 2, which adds in int8, exported to KINDS."""
    folder = tmp_path_factory.mktemp("falcon")
    shutil.copytree(SAMPLE, folder / "vgg8.falcon")
    targets = "--target onnx --target ort --target tflite"
    for command in (
        "compress vgg8.falcon --data sample --rank 2 -o falcon.falcon",
        f"export falcon.falcon {targets} --precision fp32 --precision int8 --data sample --samples 64",
    ):
        done = run(command, folder)
        assert done.code == 0, done
    return folder


def test_every_file_answers_there_as_it_has_to(machine, falcon, tmp_path_factory):
    if SSHD is None:
        require("no sshd here: apt-get install openssh-server")
    board = Board(tmp_path_factory.mktemp("b"))
    machine.be_board(board)
    try:
        done = run(f"{BENCH} --device ssh://board --clean", falcon, PATH=f"{board.path}:{os.environ['PATH']}")
    finally:
        board.hang_up()
    here = run(BENCH, falcon)
    assert not (board.home / ".cache/falcon-edge").exists()
    assert done.code == 0, done
    assert here.code == 0, here
    assert done.document["before"]["machine"] == "aarch64"
    entries = done.document["entries"]
    assert [entry["model"]["file"] for entry in entries] == [f"model.{kind}" for kind in KINDS]
    for entry, other in zip(entries, here.document["entries"], strict=True):
        assert (entry["failure"], entry["emulated"]) == (None, False)
        assert entry["agreement"][0]["within_tolerance"]
        assert entry["quality"][0]["samples"] == 50
        if entry["model"]["precision"] == "int8":
            assert entry["agreement"][0]["max_abs"] == 0  # as ARM rounds
        else:
            assert entry["quality"] == other["quality"]
