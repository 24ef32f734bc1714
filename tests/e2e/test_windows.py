"""What runs on Windows, and what is said of the rest: in a process from which it is taken away what Windows lacks.

No Windows has run it. Its paths are names of files here, with a colon and backslashes in them.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from program import ENVIRONMENT
from systems import System

from falcon_edge.cli.main import VERBS, WITHOUT_MODELS
from falcon_edge.steps.serve import LIBRARY

BUNDLE, RESULTS = "C:\\models\\falcon.falcon", "C:\\models\\results.json"
PAGE, SITE = "C:\\page", "C:\\site"
ANYTHING = {
    "demo": [],
    "train": ["vgg8", "--data", "C:\\data", "-o", "x"],
    "pack": ["C:\\models\\net.onnx", "-o", "C:\\models\\net"],
    "plan": ["C:\\models\\net.onnx", "-o", "C:\\plans"],
    "compress": [BUNDLE, "--data", "C:\\data", "-o", "x"],
    "adopt": [BUNDLE, "--weights", "C:\\w.pt", "--plan", "C:\\plan.json", "-o", "x"],
    "export": [BUNDLE],
    "convert": ["C:\\net.onnx", "-o", "C:\\net.tflite"],
    "bench": [BUNDLE, "--device", "local", "--class-map", "C:\\map.toml", "--data", "C:\\data"],
    "times": ["vgg8", "-o", "C:\\times.json"],
}
ELSEWHERE = {
    "check that measures": ["check", BUNDLE, "--baseline", BUNDLE],
    "inspect a file": ["inspect", f"{BUNDLE}/exports/model.fp32.onnx"],
    "devices": ["devices"],
    "devices setup": ["devices", "setup", "arm64"],
    "devices calibrate": ["devices", "calibrate", "ssh://board"],
}
WORKS = {
    "compare": ["compare", RESULTS, "--baseline", "C:\\models\\standard.falcon"],
    "compare as JSON": ["compare", RESULTS, "--json"],
    "report": ["report", RESULTS, "-o", "C:\\report.html", "--baseline", "standard"],
    "check": ["check", RESULTS, "--baseline", RESULTS, "--history", "C:\\history.jsonl", "--markdown", "C:\\check.md"],
    "inspect": ["inspect", BUNDLE, "--json"],
    "embed": ["embed", "falcon.falcon", PAGE],
    "embed again": ["embed", "falcon.falcon", "standard.falcon", PAGE, "--target", "onnx"],
    "embed --list": ["embed", "--list", PAGE],
    "serve": ["serve", "falcon.falcon", "--page", SITE, "-o", "C:\\sent.json"],
    "none": ["compare", "C:\\models\\none.json"],
}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    return System("windows", tmp_path_factory.mktemp("windows"))


@pytest.fixture(scope="module")
def done(windows, flow, tmp_path_factory):
    """The folder, and what came of every command: code, stdout, stderr, and what was answered where it serves."""
    folder = tmp_path_factory.mktemp("there")
    for name in ("falcon.falcon", "standard.falcon"):  # embed takes letters; the last part of a path, on Windows
        shutil.copytree(flow.folder / name, folder / name)
        shutil.copytree(flow.folder / name, folder / f"C:\\models\\{name}")
    shutil.copy(flow.folder / "results.json", folder / RESULTS)
    for page in (PAGE, SITE):
        (folder / page / LIBRARY).parent.mkdir(parents=True)
        (folder / page / LIBRARY).touch()
        (folder / page / "index.html").write_text("<p>a page")
    requests = [
        ["GET", "", None],
        ["GET", "models/falcon/exports/model.fp32.onnx", None],
        ["POST", "results", served(flow.folder / "results.json")],
    ]
    commands = {**WORKS, **{verb: [verb, *words] for verb, words in ANYTHING.items()}, **ELSEWHERE}
    listed = [[words, requests if words[0] == "serve" else []] for words in commands.values()]
    (folder / "commands.json").write_text(json.dumps(listed))
    script = Path(__file__).parents[1] / "support" / "several_commands.py"
    ran = subprocess.run(
        [windows.python, script, "commands.json"],
        cwd=folder,
        env=ENVIRONMENT | windows.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return folder, dict(zip(commands, json.loads(ran.stdout.splitlines()[-1]), strict=True))


def served(path):
    """Results of those files alone that are served."""
    results = json.loads(path.read_text())
    results["entries"] = [entry for entry in results["entries"] if entry["model"]["name"] == "falcon"]
    return json.dumps(results)


def test_it_is_windows(windows, tmp_path):
    script = """
import os, select, signal, sys
missing = []
for name in ("fcntl", "resource"):
    try:
        __import__(name)
    except ImportError:
        missing.append(name)
has = [hasattr(os, "killpg"), hasattr(os, "geteuid"), hasattr(signal, "SIGHUP"), hasattr(select, "poll")]
print(sys.platform, *missing, *has)
"""
    assert windows.script(script, tmp_path).out == "win32 fcntl resource False False False False\n"


def test_every_verb_is_in_one_list():
    assert {verb.__name__ for verb in VERBS} == {*ANYTHING, *(verb.__name__ for verb in WITHOUT_MODELS)}
    assert {words[0] for words in WORKS.values()} == {verb.__name__ for verb in WITHOUT_MODELS}


@pytest.mark.parametrize("name", [name for name in WORKS if name not in ("none", "check")])
def test_what_loads_no_model_works(done, name):
    _, found = done
    code, out, err, _ = found[name]
    assert code == 0, err
    assert out
    assert "Traceback" not in err


def test_results_are_checked_and_a_history_is_kept(done):
    """Figures that are equal pass, or are in doubt where the machine that they were taken on was busy."""
    folder, found = done
    code, out, err, _ = found["check"]
    assert code in (0, 3), err
    assert "+0.0%" in out
    assert len((folder / "C:\\history.jsonl").read_text().splitlines()) == 4
    assert (folder / "C:\\check.md").stat().st_size > 100


def test_what_was_written_is_whole_and_nothing_is_left(done):
    folder, found = done
    assert "<html" in (folder / "C:\\report.html").read_text()
    index = json.loads((folder / PAGE / "models" / "index.json").read_text())
    assert [model["folder"] for model in index["models"]] == ["falcon", "standard"]
    assert not list(folder.rglob("*.lock"))
    assert json.loads(found["inspect"][1])["manifest"]["lineage"]["parent"]["name"] == "standard"


def test_a_page_is_served_and_its_results_come_back(done):
    folder, found = done
    answers = found["serve"][3]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert answers[1][1] == (folder / BUNDLE / "exports/model.fp32.onnx").stat().st_size
    assert len(json.loads((folder / "C:\\sent.json").read_text())["entries"]) == 2


def test_a_path_with_a_drive_is_a_path(done):
    _, found = done
    assert found["none"][:2] == [2, ""]
    assert found["none"][2].startswith("error: C:\\models\\none.json: ")


@pytest.mark.parametrize("name", [*ANYTHING, *ELSEWHERE])
def test_what_loads_models_says_where_it_runs(done, name):
    _, found = done
    code, out, err, _ = found[name]
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith(f"error: {name if name in ANYTHING else 'this'} does not run on Windows, ")
    assert "use WSL 2 (wsl --install, then the same command in it)" in err


LOCK = """
import sys
from pathlib import Path
from falcon_edge.errors import BadInput
from falcon_edge.place import locked
from runtime_bench.system import alone
try:
    with locked(Path("C.falcon")):
        print("held", flush=True)
        sys.stdin.readline()
    with alone(Path(".")):
        print("alone", flush=True)
        sys.stdin.readline()
except BadInput as error:
    print(error)
"""


def test_one_process_at_a_time_writes(windows, tmp_path):
    def started():
        return subprocess.Popen(
            [windows.python, "-c", LOCK],
            cwd=tmp_path,
            env=ENVIRONMENT | windows.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    with started() as first:
        assert first.stdout.readline() == "held\n"
        with started() as second:
            said = second.stdout.readline()
            assert said == f"C.falcon: process {first.pid} is writing it; wait for it, or choose another name\n"
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.stdout.readline() == "alone\n"
        with started() as third:
            assert third.stdout.readline() == "held\n"
            third.stdin.write("\n\n")
            third.stdin.flush()
            first.stdin.write("\n")
            first.stdin.flush()
            assert first.wait(60) == 0
            assert third.stdout.readline() == "alone\n"
        assert third.returncode == 0
    assert list(tmp_path.iterdir()) == []
