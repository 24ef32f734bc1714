"""The project's own wheel on arm64 Linux: in the emulated userland, where it takes itself for a machine of its own.

Without torch, as a board has it that only measures. What QEMU takes for an inference is no latency.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import arm64
import pytest
from packaging.requirements import Requirement
from program import Done, run

from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.devices.arm64.cpus import DEFAULT
from runtime_bench.devices.arm64.sysroot import PLATFORMS
from runtime_bench.results import load

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "falcon_edge/data/sample/plan.json"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("arm64 host")]

# Besides what the userland has itself (numpy and the runtimes).
NEEDED = {
    *("annotated-doc", "annotated-types", "click", "flatbuffers", "jinja2", "markdown-it-py", "markupsafe", "mdurl"),
    *("ml-dtypes", "narwhals", "onnx", "packaging", "pillow", "plotly", "protobuf", "pydantic", "pydantic-core"),
    *("pygments", "rich", "ruptures", "safetensors", "scipy", "segno", "shellingham", "typer", "typing-extensions"),
    "typing-inspection",
}
FILES = [("onnx", "fp32"), ("onnx", "int8"), ("tflite", "fp32"), ("tflite", "int8")]
SAMPLES = 20
QUICK = "--runs 4 --seconds 0 --warm-up 0 --processes 1 --rounds 1 --ticks 2"


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Starts the emulated Python, which has the wheel; so do its child processes."""
    userland, folder = arm64.userland(), tmp_path_factory.mktemp("arm64")
    site, program = folder / "site", folder / "python"
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines()]
    wanted = [str(pin) for pin in pins if pin.name.lower().replace("_", "-") in NEEDED]
    version = ".".join(userland.versions["python"].split(".")[:2])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"),
            *("--implementation", "cp", "--python-version", version, "--target", str(site)),
            *(f"--platform={platform}" for platform in PLATFORMS),
            *(*wanted, str(wheel)),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (site / "sitecustomize.py").write_text(f"import sys; sys.executable = {str(program)!r}\n")
    *emulator, interpreter = userland.command("qemu-aarch64", DEFAULT)
    words = shlex.join([*emulator, "-E", f"PYTHONPATH={site}", interpreter])
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    (folder / "temporary").mkdir()
    return program


@pytest.fixture(scope="module")
def folder(python, tmp_path_factory):
    """Where the demo's networks, the small one not tuned, were exported by this host, and measured in the userland."""
    folder = tmp_path_factory.mktemp("measured")
    copy_sample_network(folder / "standard")
    assert run(f"compress standard.falcon --data sample --plan {PLAN} -o small -q", folder).code == 0
    for name in ("standard", "small"):
        export = f"export {name}.falcon --precision fp32 --precision int8 --data sample --samples 64 --accept-loss -q"
        assert run(export, folder).code == 0
    data = f"--data sample --samples {SAMPLES}"
    done = verb(python, f"bench standard.falcon small.falcon --device arm64 {data} {QUICK} -o results.json -q", folder)
    assert done.code == 0, done
    return folder


def script(python, source, folder):
    """Python's source, run in temporary folders of its own.

    QEMU makes up when a process started: others on this machine would take its folders for those of one that is gone.
    """
    environment = os.environ | {"TMPDIR": str(python.parent / "temporary")}
    done = subprocess.run(
        [python, "-c", source], cwd=folder, env=environment, capture_output=True, text=True, timeout=1800
    )
    return Done("", done.returncode, done.stdout, done.stderr)


def verb(python, command, folder):
    """A command; what reads files apart has more time for it, of which QEMU takes most."""
    source = f"""
import sys
from converters import inspect_apart
from falcon_edge.cli.main import main
inspect_apart.SECONDS = 300.0
sys.argv = ["falcon-edge", *{shlex.split(command)}]
main()
"""
    return script(python, source, folder)


def test_it_is_the_wheel_on_arm64(python, tmp_path):
    done = script(python, "import platform, falcon_edge; print(platform.machine(), falcon_edge.__file__)", tmp_path)
    assert done.out == f"aarch64 {python.parent}/site/falcon_edge/__init__.py\n", done


def test_a_native_host_measures_and_answers_as_it_has_to(folder):
    results = load(folder / "results.json")
    assert results.before.machine == "aarch64"
    for name in ("standard", "small"):
        found = [(entry.model.target, entry.model.precision) for entry in results.entries if entry.model.name == name]
        assert sorted(found) == FILES
    for entry in results.entries:
        assert (entry.device, entry.emulated, entry.failure) == ("arm64", False, None)
        assert entry.summary.count == 4
        assert entry.quality[0].samples == SAMPLES
        assert all(each.within_tolerance and each.vectors >= 8 for each in entry.agreement)
        assert len(entry.agreement) == 1


def test_verbs_on_results_run(python, folder):
    compared = verb(python, "compare results.json --json", folder)
    assert compared.code == 0, compared
    assert len(compared.document) == 2 * len(FILES)
    reported = verb(python, "report results.json -o report.html", folder)
    assert reported.code == 0, reported
    assert "aarch64" in (folder / "report.html").read_text()
    checked = verb(python, "check results.json --baseline results.json --json", folder)
    assert checked.code in (0, 3), checked
    assert checked.document["verdict"] in ("pass", "inconclusive")


@pytest.mark.parametrize("file", ["model.int8.onnx", "model.fp32.tflite"])
def test_files_are_inspected(python, folder, file):
    """By a child process within limits, as on any host."""
    path = f"standard.falcon/exports/{file}"
    there, here = verb(python, f"inspect {path} --json", folder), run(f"inspect {path} --json", folder)
    assert there.code == 0, there
    assert json.loads(there.out) == json.loads(here.out)
