"""Frontiers by the command line: plans that compress takes, for people and programs."""

import json

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(flow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    for name in ("standard.falcon", "falcon.falcon", "stripes.npz"):
        (folder / name).symlink_to(flow.folder / name)
    return folder


def test_a_frontier_by_macs_is_a_table_and_plans_that_compress_takes(warm, folder):
    done = warm("plan standard.falcon --data stripes.npz --by macs --count 4 -o plans", folder)
    assert done.code == 0
    rows = [line for line in done.out.splitlines() if line.startswith("plan-")]
    assert [row.split()[0] for row in rows] == [f"plan-{number:02}.json" for number in range(1, len(rows) + 1)]
    last = json.loads((folder / "plans" / rows[-1].split()[0]).read_text())
    assert last["planned_macs"] < last["macs"]
    small = warm(f"compress standard.falcon --plan plans/{rows[-1].split()[0]} -o small --json", folder)
    assert small.document["macs"] == last["planned_macs"]


def test_a_frontier_by_latency_keeps_its_times(warm, folder):
    dry = warm("compress standard.falcon --rank 1 --dry-run --json", folder)
    (folder / "rank1.json").write_text(dry.out)
    words = "--runtime tflite --precision int8"
    timed = warm(f"times standard.falcon --plan rank1.json {words} --rounds 1 -o times.json", folder)
    assert timed.code == 0
    done = warm(f"plan standard.falcon --data stripes.npz --times times.json {words} --json -o timed", folder)
    assert done.code == 0
    assert [each["share"] for each in done.document] == sorted((e["share"] for e in done.document), reverse=True)
    assert all((folder / each["file"]).exists() for each in done.document)


def test_plans_are_verified_and_shown_on_a_page(warm, folder):
    words = "--by macs --count 5 --verify 2 --report page.html"
    done = warm(f"plan standard.falcon --data stripes.npz {words} -o seen", folder)
    assert done.code == 0, done.err
    assert len([line for line in done.out.splitlines() if line.startswith("plan-") and "points" in line]) == 2
    page = (folder / "page.html").read_text()
    assert all(said in page for said in ("plan-01.json", "FALCON, rank 1", "Verified plans", "; next "))


def test_a_frontier_of_narrower_networks_and_a_contract_by_latency(warm, folder):
    of = "--runtime tflite --precision int8"
    timed = warm(f"times standard.falcon --widths 0.5 {of} --rounds 1 -o widths.json", folder)
    assert timed.code == 0, timed.err
    (series,) = json.loads((folder / "widths.json").read_text())["series"]
    assert {each["width"] for each in series["networks"]} == {None, 0.5}
    asked = "--target-latency 0.9 --max-drop 100 --finetune-epochs 1"
    made = warm(f"compress standard.falcon --data stripes.npz {asked} --times widths.json {of} -o kept", folder)
    clauses = [line for line in made.err.splitlines() if "(95%: " in line]
    assert len(clauses) >= 2, made.err
    manifest = json.loads((folder / "kept.falcon" / "manifest.json").read_text())
    rounds = manifest["lineage"]["steps"][-1]["options"]["contract"]
    assert made.code == (0 if all(each["kept"] for each in rounds[0]["clauses"]) else 1)
    assert [each["what"] for each in rounds[0]["clauses"]] == ["share of the latency", "drop by top1"]


def test_a_contract_that_is_not_kept_ends_with_1_and_leaves_the_best_there_is(warm, folder):
    words = "--form mixed --target-macs 0.02 --max-drop 0"
    done = warm(f"compress standard.falcon --data stripes.npz {words} -o broken", folder)
    assert done.code == 1
    assert "points" in done.err.splitlines()[-1]
    assert "at most 0 points was asked (the only plan that was tried)" in done.err.splitlines()[-1]
    assert (folder / "broken.falcon" / "manifest.json").exists()


OF = "--data stripes.npz --times times.json --runtime ort"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("plan standard.falcon --by macs", "mixed forms need --data"),
        ("plan standard.falcon --data stripes.npz", "a latency needs --times"),
        ("plan standard.falcon --data stripes.npz --by size --paced", "say of what a latency is"),
        ("plan standard.falcon --data stripes.npz --by size --threads 2", "say of what a latency is"),
        ("plan falcon.falcon --data stripes.npz --by macs", "is compressed already"),
        (f"plan standard.falcon {OF} --precision fp16", "no times of onnxruntime in fp16"),
        ("compress standard.falcon --data stripes.npz --form mixed", "--form mixed goes with --target-macs"),
        ("compress standard.falcon --data stripes.npz --target-latency 3ms", "a latency needs --times"),
        ("compress standard.falcon --data stripes.npz --target-size 0.5 --target-latency 3ms", "give either"),
        (f"compress standard.falcon {OF} --precision int8 --target-latency fast", "write a time, as in 33ms"),
        ("compress standard.falcon --data stripes.npz --rank 1 --paced", "say of what a latency is"),
        ("compress standard.falcon --data stripes.npz --rank 1 --cpu x86-vnni", "say of what a latency is"),
        (
            f"compress standard.falcon {OF} --precision int8 --cpu x86-vnni --target-latency 0.5",
            "of files for x86-vnni",
        ),
        ("compress standard.falcon --data stripes.npz --target-size 0.5 --rank 1", "give either --rank"),
        ("compress standard.falcon --target-size 0.5", "mixed forms need --data"),
        ("compress standard.falcon --data stripes.npz --rank 1 --max-drop 1", "--max-drop goes with a target"),
        ("compress standard.falcon --data stripes.npz --form mixed --max-drop -1", "--max-drop -1: give at least 0"),
        ("plan standard.falcon --data stripes.npz --by macs --down-to 2", "--down-to 2: give a share below 1"),
        ("plan standard.falcon --data stripes.npz --by macs --report bad", "the folder of the plans is theirs"),
        (f"compress standard.falcon {OF} --precision fp32 --target-latency 3", "a time has a unit"),
        ("times standard.falcon --widths 1.5", "--widths 1.5: a share of the channels"),
        ("times standard.falcon --widths 0.5 --rewrites", "leave out --plan, --widths"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_line(warm, folder, words, problem):
    done = warm(f"{words} -o bad", folder)
    assert (done.code, problem in done.err, len(done.err.splitlines())) == (2, True, 1), done.err
    assert not [*folder.glob("bad*")]


def test_a_target_that_no_plan_reaches_ends_with_1_and_the_least_there_is(warm, folder):
    done = warm("compress standard.falcon --data stripes.npz --target-size 0.001 -o bad", folder)
    assert done.code == 1
    assert "the cheapest forms leave" in done.err.splitlines()[-1]
    assert not [*folder.glob("bad*")]


def test_a_bundle_within_a_target_says_so(warm, folder):
    done = warm("compress standard.falcon --data stripes.npz --form mixed --target-macs 0.4 -o mixed --json", folder)
    assert done.code == 0
    assert done.document["lineage"]["steps"][-1]["options"]["budget"] == {"of": "macs", "share": 0.4}
    dry = warm("compress standard.falcon --data stripes.npz --target-size 0.4 --dry-run", folder)
    assert (dry.code, "parameters of" in dry.out) == (0, True)
