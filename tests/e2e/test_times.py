"""Times made by the command line, for people and programs."""

import pytest

from falcon_edge.times import Times, read_times

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow")]  # one process of xdist makes the flow
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
