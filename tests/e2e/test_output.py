"""What goes to stdout and what to stderr, and that asking for help costs no time."""

import contextlib
import importlib.metadata
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from program import ENVIRONMENT, PROGRAM, listing, run

import falcon_edge

QUICK = "--runs 2 --seconds 0 --warm-up 0 --ticks 4 --processes 1 --rounds 1"
VERBS = (
    "demo",
    "train",
    "pack",
    "compress",
    "export",
    "inspect",
    "bench",
    "compare",
    "report",
    "embed",
    "serve",
    "times",
)
# What takes long to import. The help itself is made by typer, rich and pydantic.
HEAVY = {"torch", "onnx", "onnxruntime", "onnxsim", "ai_edge_litert", "tflite_runtime", "flatbuffers"}
HEAVY |= {"numpy", "scipy", "PIL", "safetensors", "plotly", "jinja2"}

FAILING = """
from torch import nn

class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(144, 3)

    def forward(self, x):
        if self.training:
            raise RuntimeError("it cannot\\nbe trained")
        return self.layer(x.flatten(1))
"""


@pytest.mark.parametrize("verb", ["train", "compress", "export", "bench", "compare", "inspect"])
def test_json_is_all_there_is_on_stdout(flow, again, verb):
    done = again.done[verb]
    assert done.document
    assert done.out.startswith(("{", "["))
    assert "{" not in done.err
    # What people get instead says the same.
    assert not flow.done[verb].out.startswith(("{", "["))


def test_json_of_a_plan_and_of_a_packed_network(flow, warm, tmp_path):
    plan = warm(f"compress {flow.folder}/standard.falcon --rank 1 --dry-run --json", tmp_path)
    assert plan.document["layers"][1]["form"] == "falcon"
    assert plan.err == ""
    packed = warm("pack vgg8 --width 0.25 -o packed --json", tmp_path)
    assert packed.document["name"] == "packed"
    assert packed.err == "warning: vgg8: no weights were given, so that it has fresh random ones\n"


def test_json_of_a_failure_is_on_stderr_as_ever(warm, tmp_path):
    done = warm("inspect missing.onnx --json", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: missing.onnx: no such model file\n"


def test_plain_lines_in_a_pipe(flow):
    for done in flow.done.values():
        assert "\x1b" not in done.out + done.err
        assert "\r" not in done.out + done.err
    prepared, *said = flow.done["train"].err.splitlines()
    assert prepared.endswith("stripes.npz: its images are resized to 28 x 28, whatever their proportions, for vgg8")
    assert [line for line in said[:-1] if ": loss" not in line] == [f"epoch {number}/4" for number in range(1, 5)]
    assert sum("validation top-1" in line for line in said) == 4
    assert flow.done["export"].err
    assert "XNNPACK" not in flow.done["export"].err  # nor what native libraries have to say
    assert (flow.done["inspect"].err, flow.done["compare"].err) == ("", "")


def test_a_bar_on_a_terminal(flow, warm, stripes, tmp_path):
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read_terminal, ours)
        done = warm(
            f"compress {flow.folder}/standard.falcon --rank 1 --data {stripes} --finetune-epochs 1 -o falcon",
            tmp_path,
            err=os.ttyname(theirs),
        )
        os.close(theirs)
        said = reader.result()
    assert done.code == 0
    assert "\x1b[" in said
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).replace("\r", "\n").splitlines()]
    assert sum("epoch 1/1" in line for line in lines) > 1  # beside the bar, and on a line of its own, which stays
    assert any(re.fullmatch(r"epoch 1/1: loss \d+\.\d{4}, validation top-1 \d+\.\d\d%", line) for line in lines)
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    "command",
    [
        "compare results.json",
        pytest.param(f"bench standard.falcon falcon.falcon -q {QUICK}", marks=pytest.mark.slow),
    ],
)
def test_tables_fit_a_terminal_of_100_columns(flow, command):
    """A row of the table is one line, and there are colours, which there are none of in a pipe."""
    said = on_a_terminal(command, flow.folder)
    lines = [re.sub("\x1b\\[[0-9;]*m", "", line).rstrip() for line in said.splitlines()]
    assert max(map(len, lines)) <= 100
    rows = [line for line in lines if line.startswith(("standard ", "falcon "))]
    assert len(rows) == (8 if command.startswith("compare") else 4)  # speed is a table of its own there
    for row in rows:
        assert re.search("(onnx|tflite) fp32", row)
    for row in rows[-4:]:
        assert re.search(r"\d+\.\d{3} ms.*\d+\.\d{3} ms", row)  # back to back and paced
        assert re.search("[▁▂▃▄▅▆▇█]{8}", row) or "compare" in command
    assert "\x1b[" in said
    assert "\x1b" not in run(command, flow.folder).out


def test_failures_and_hostile_names_leave_a_table_readable(flow, warm, tmp_path):
    document = json.loads((flow.folder / "results.json").read_text())
    for entry in document["entries"]:
        entry["model"]["name"] += "\x1b[35m" + "x" * 100
    failed = document["entries"][3] | {"bursts": [], "summary": None, "intervals": None}
    document["entries"][3] = failed | {"failure": {"kind": "signal", "message": "killed\x9b2J by SIGKILL"}}
    (tmp_path / "results.json").write_text(json.dumps(document))
    said = on_a_terminal("compare results.json", tmp_path)
    assert max(map(len, re.sub("\x1b\\[[0-9;]*m", "", said).splitlines())) <= 100
    assert not any(code in said for code in ("\x1b[35mx", "\x9b"))
    done = warm("compare results.json", tmp_path)
    assert "failed: falcon" in done.words
    assert "by SIGKILL" in done.words
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    "command",
    [
        "compare results.json",
        "report results.json -o /dev/null",
        "inspect falcon.falcon",
        "inspect falcon.falcon/exports/model.fp32.onnx",
        "compress standard.falcon --rank 1 --dry-run",
        "devices",
    ],
)
def test_nothing_is_cut_or_split_within_80_columns(flow, warm, command):
    said = re.sub("\x1b\\[[0-9;]*m", "", on_a_terminal(command, flow.folder, columns=80))
    lines = said.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in said
    words = {word for word in warm(command, flow.folder).out.split() if "─" not in word}
    assert {word for word in words if len(word) <= 24} <= set(said.split())


def test_verbs_end_with_the_next_command(flow, warm, tmp_path):
    data = "--data stripes.npz"
    told = {name: done.err.splitlines()[-1:] for name, done in flow.done.items()}
    assert told == {
        "train": [f"next: falcon-edge compress standard.falcon {data} --rank 1 --finetune-epochs 10 -o standard-rank1"],
        "compress": [f"next: falcon-edge export falcon.falcon --precision fp32 --precision int8 {data}"],
        "export standard": ["next: falcon-edge bench standard.falcon -o results.json"],
        "export": ["next: falcon-edge bench standard.falcon falcon.falcon -o results.json"],
        "bench": ["next: falcon-edge compare results.json"],
        "compare": [],
        "inspect": [],
    }
    shutil.copytree(flow.folder / "standard.falcon", tmp_path / "my models/standard.falcon")
    done = warm("compress 'my models/standard.falcon' --rank 1 -o 'my models/small'", tmp_path)
    assert done.err.splitlines()[-1] == "next: falcon-edge export 'my models/small.falcon'"
    done = warm("export 'my models/small.falcon' --target ort", tmp_path)
    assert done.err.splitlines()[-1] == "next: falcon-edge export 'my models/standard.falcon' --target ort"
    (tmp_path / "my models/standard.falcon").rename(tmp_path / "my models/a.falcon")
    done = warm("export 'my models/a.falcon' --target ort", tmp_path)
    expected = "next: falcon-edge bench 'my models/a.falcon' 'my models/small.falcon' -o results.json"
    assert done.err.splitlines()[-1] == expected


def on_a_terminal(command, folder, columns=100):
    """What a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read_terminal, ours)
        environment = ENVIRONMENT | {"COLUMNS": str(columns), "TERM": "xterm-256color"}
        subprocess.run([*PROGRAM, *command.split()], cwd=folder, stdout=theirs, env=environment, check=True)
        os.close(theirs)
        return reader.result()


def read_terminal(descriptor):
    """All that is written to a terminal until nobody has it open."""
    said = b""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal, contextlib.suppress(OSError):
        while chunk := terminal.read(4096):
            said += chunk
    return said.decode()


def test_quiet_says_nothing_but_results_and_errors(flow, warm, stripes, tmp_path):
    shutil.copytree(flow.folder / "standard.falcon", tmp_path / "standard.falcon")
    for command in (
        f"train vgg8 --width 0.25 --data {stripes} --epochs 1 -o trained",
        f"compress standard.falcon --rank 1 --data {stripes} --finetune-epochs 1 -o falcon",
        "export standard.falcon",
        f"bench standard.falcon/exports/model.fp32.onnx {QUICK}",
    ):
        done = warm(f"{command} --quiet", tmp_path)
        assert (done.code, done.err) == (0, "")
        assert done.out
    assert warm("inspect missing.onnx -q", tmp_path).err == "error: missing.onnx: no such model file\n"


def test_a_traceback_only_where_it_is_asked_for(warm, tmp_path):
    done = warm("inspect missing.onnx --debug", tmp_path)
    assert done.code == 2
    assert done.err.startswith("Traceback (most recent call last):")
    assert "ConversionError: missing.onnx: no such model file" in done.err


def test_what_nobody_foresaw_is_one_line_too(warm, stripes, tmp_path):
    """Here a user's own network, which fails in a way of its own."""
    (tmp_path / "nets.py").write_text(FAILING)
    before = listing(tmp_path)
    done = warm(f"train nets:Failing --data {stripes} -q -o out", tmp_path)
    assert done.code == 70
    assert done.err == (
        "error: unexpected RuntimeError: it cannot be trained "
        "(an internal error: run again with --debug, and report what that shows)\n"
    )
    assert listing(tmp_path) == before


def test_texts_are_not_taken_for_markup(warm, tmp_path):
    done = warm("pack vgg8 --width 0.25 -o '[red]:smile:[b]'", tmp_path)
    assert done.out.startswith("[red]:smile:[b].falcon")


def test_a_reader_that_has_seen_enough(flow):
    command = f"{sys.executable} -m falcon_edge compare results.json"
    for option in ("", " --json"):
        done = subprocess.run(
            ["bash", "-c", f"{command}{option} | true; echo ${{PIPESTATUS[0]}}"],
            cwd=flow.folder, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.stdout.strip(), done.stderr) == ("141", "")


def test_a_full_disk_behind_stdout(flow, warm):
    with open("/dev/full", "w") as full:
        for option in ([], ["--json"]):
            done = subprocess.run(
                [*PROGRAM, "compare", "results.json", *option],
                cwd=flow.folder, stdout=full, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert done.returncode == 2
            assert done.stderr == ("error: the result cannot be written to standard output (No space left on device)\n")


def test_version(tmp_path):
    done = run("--version", tmp_path)
    assert (done.code, done.out, done.err) == (0, f"falcon-edge {falcon_edge.__version__}\n", "")
    assert falcon_edge.__version__ == importlib.metadata.version("falcon-edge")


def test_help_names_every_verb(tmp_path):
    done = run("--help", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert all(verb in done.out for verb in VERBS)
    assert run("", tmp_path).out.strip() == done.out.strip()


def test_help_and_import_load_nothing_heavy(tmp_path):
    script = f"""
import contextlib, io, json, sys
import falcon_edge
from falcon_edge.cli.main import main
for words in [["--help"], ["--version"], *([verb, "--help"] for verb in {VERBS})]:
    sys.argv = ["falcon-edge", *words]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            assert end.code == 0, words
    assert out.getvalue()
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert {"falcon_edge", "typer"} <= loaded
    assert not loaded & HEAVY
