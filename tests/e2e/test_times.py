"""Times made by the command line, for people and programs."""

import shutil

import pytest

from falcon_edge.times import Times, read_times

pytestmark = pytest.mark.slow
TIMES = "times standard.falcon --plan plan.json --runtime tflite --precision int8 --rounds 1 -o times.json"


@pytest.fixture(scope="module")
def folder(flow, warm, tmp_path_factory):
    """A folder with a standard network and a plan of it."""
    folder = tmp_path_factory.mktemp("times")
    (folder / "standard.falcon").symlink_to(flow.folder / "standard.falcon")
    dry = warm("compress standard.falcon --rank 2 --dry-run --json", folder)
    (folder / "plan.json").write_text(dry.out)
    return folder


def test_times_are_made_and_taken_over(warm, folder):
    done = warm(TIMES, folder)
    assert done.code == 0
    assert "round 1 of 1: whole networks" in done.err
    title, _, first, second = done.out.rstrip().splitlines()
    assert title.split()[-4:] == ["standard", "FALCON,", "rank", "1"]
    assert ("back to back" in first, "cold" in second) == (True, True)
    before = (folder / "times.json").read_bytes()
    again = warm(f"{TIMES} --json -q", folder)
    assert (folder / "times.json").read_bytes() == before
    assert again.err == ""
    assert Times.model_validate({"series": again.document}) == read_times(folder / "times.json")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--rewrites --precision fp32", "--rewrites are of int8 files and of the network as it is"),
        ("--precision fp16", "--precision fp16: layers are timed in fp32 or int8"),
        ("--runtime none", "none: no such runtime"),
        ("--device none", "none: "),
    ],
)
def test_what_there_is_not_is_said_in_one_line(warm, folder, words, problem):
    done = warm(f"times standard.falcon {words} -o other.json", folder)
    assert done.code == 2
    assert done.err.startswith(f"error: {problem}")
    assert len(done.err.splitlines()) == 1
    assert not (folder / "other.json").exists()


def test_a_compressed_network_has_no_times(warm, flow, folder):
    done = warm(f"times {flow.folder / 'falcon.falcon'} -o other.json", folder)
    assert (done.code, "is compressed already" in done.err) == (2, True)


def test_rewrites_that_were_timed_are_exported(warm, flow, folder):
    shutil.copytree(flow.folder / "falcon.falcon", folder / "small.falcon")
    done = warm("times small.falcon --rewrites --runtime ort --rounds 1 -o rewrites.json", folder)
    assert done.code == 0
    assert "round 1 of 1: without a rewrite" in done.err
    (line,) = (line for line in done.out.splitlines() if "column-blocks" in line)
    words = f"--precision int8 --data {flow.folder / 'stripes.npz'} --accept-loss --times rewrites.json --json"
    wrote = warm(f"export small.falcon {words}", folder)
    (made,) = (each for each in wrote.document["exports"] if each["file"].endswith("int8.onnx"))
    assert ("column-blocks" in (made["rewrites"] or {"nodes": ()})["nodes"]) == line.rstrip().endswith("yes")
    lost = warm(f"export small.falcon {words} --device none", folder)
    assert (lost.code, "has no rewrites of" in lost.err, "on none" in lost.err) == (2, True, True)
