"""The workflows: every shell step of theirs is run by bash, as a runner does, and linters know nothing against them."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap

import pytest
from posix_tools import write_script
from steps import ACTION, EXPRESSION, ROOT, SHELLS, STEPS, WORKFLOWS, Runner

JOBS = [(file, name) for file, workflow in sorted(WORKFLOWS.items()) for name in workflow["jobs"]]
MACHINES = ["ubuntu-24.04-arm", "macos-15", "ubuntu-latest"]
# What macOS's bash 3.2 does not have.
LATER_BASH = re.compile(r"mapfile|readarray|(declare|local) -[An]|\$\{\w+(\^|,|@)|\|&|&>>|coproc|\[\[ -v|\$EPOCH")


def steps(file, name):
    return WORKFLOWS[file]["jobs"][name]["steps"]


def every_step():
    return [*STEPS.values(), *(step for job in JOBS for step in steps(*job))]


# -- what is written in the files --


def test_steps_have_what_runners_need_and_shell_code_has_no_expressions():
    assert ACTION["runs"]["using"] == "composite"
    for step in every_step():
        assert ("run" in step) != ("uses" in step)
        if "run" in step:
            assert step["shell"] == "bash"
            assert "${{" not in step["run"]
            assert not LATER_BASH.search(step["run"])


@pytest.mark.parametrize("file", WORKFLOWS)
def test_jobs_may_read_only(file):
    assert WORKFLOWS[file]["permissions"] == {"contents": "read"}
    own = {name: job["permissions"] for name, job in WORKFLOWS[file]["jobs"].items() if "permissions" in job}
    assert own == ({"main": {"contents": "write"}} if file == "gate.yml" else {})


def test_arm_gives_the_action_what_it_takes_and_uses_every_input():
    (given,) = [step["with"] for step in steps("arm.yml", "measure") if step.get("uses") == "./.falcon-edge"]
    assert set(given) <= set(ACTION["inputs"])
    triggers = WORKFLOWS["arm.yml"][True]  # `on`, in YAML 1.1
    inputs = triggers["workflow_call"]["inputs"]
    assert inputs.keys() == triggers["workflow_dispatch"]["inputs"].keys()
    assert all(about["description"] for about in inputs.values())
    expressions = EXPRESSION.findall((ROOT / ".github/workflows/arm.yml").read_text())
    used = {name for text in expressions for name in re.findall(r"inputs\.(\w+)", text)}
    assert used == set(inputs)


def test_arm_runs_on_every_machine_and_reports_them_together():
    jobs = WORKFLOWS["arm.yml"]["jobs"]
    for name in ("measure", "own"):
        assert jobs[name]["strategy"] == {"fail-fast": False, "matrix": {"runner": MACHINES}}
        assert jobs[name]["runs-on"] == "${{ matrix.runner }}"
    assert jobs["together"]["needs"] == ["measure", "own"]


def test_the_gate_runs_where_it_is_told():
    triggers = WORKFLOWS["gate.yml"][True]
    for trigger in ("workflow_call", "workflow_dispatch"):
        assert triggers[trigger]["inputs"]["runner"]["default"] == "ubuntu-latest"
    assert {job["runs-on"] for job in WORKFLOWS["gate.yml"]["jobs"].values()} == {
        "${{ inputs.runner || 'ubuntu-latest' }}"
    }


def linted(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def actionlint(*files):
    return linted(shutil.which("actionlint", path=sysconfig.get_path("scripts")), "-shellcheck=", "-pyflakes=", *files)


def schema(name, *files):
    return linted(sys.executable, "-m", "check_jsonschema", "--builtin-schema", name, *files)


def test_linters_know_nothing_against_them(tmp_path):
    files = [f".github/workflows/{name}" for name in WORKFLOWS]
    for done in (actionlint(*files), schema("github-workflows", *files), schema("github-actions", "action.yml")):
        assert done.returncode == 0, done.stdout


def test_linters_find_what_is_wrong(tmp_path):
    text = (ROOT / ".github/workflows/arm.yml").read_text()
    unknown, misspelt = tmp_path / "unknown.yml", tmp_path / "misspelt.yml"
    unknown.write_text(text.replace("inputs.tolerance", "inputs.tolerances"))
    misspelt.write_text(text.replace("runs-on:", "runs_on:"))
    assert 'property "tolerances" is not defined' in actionlint(unknown).stdout
    assert schema("github-workflows", misspelt).returncode == 1
    action = tmp_path / "action.yml"
    action.write_text((ROOT / "action.yml").read_text().replace("using: composite", "using: compost"))
    assert schema("github-actions", action).returncode == 1


# -- what they do --


MAKE = """#!/bin/sh
echo "make $*" >> "$PWD/.installed"
"""
SCRIPT = "import falcon_edge, pathlib\npathlib.Path('small.onnx').touch()\n"


@pytest.fixture
def prepared(flow, tmp_path):
    """The folder of a job before its steps run, with what GitHub's own actions and `make` bring."""
    (tmp_path / "models.py").write_text(SCRIPT)
    (tmp_path / "falcon_edge").symlink_to(ROOT / "falcon_edge")
    for branch in ("base", "head"):
        (tmp_path / branch).symlink_to(ROOT)
    (tmp_path / "demo-out").mkdir()
    shutil.copy(flow.folder / "results.json", tmp_path / "demo-out")
    for machine in MACHINES:
        folder = tmp_path / "machines" / f"falcon-edge-{machine}"
        folder.mkdir(parents=True)
        results = json.loads((flow.folder / "results.json").read_text())
        for moment in ("before", "after"):
            results[moment]["cpu"] = f"The CPU of {machine}"
        (folder / "results.json").write_text(json.dumps(results))
    return tmp_path


@pytest.mark.parametrize(
    "options",  # what runs with the tools of POSIX alone runs with all of bash, but for what tests do not foresee
    [pytest.param(SHELLS["bash"], id="bash", marks=pytest.mark.slow), pytest.param(SHELLS["posix"], id="posix")],
)
@pytest.mark.parametrize(("file", "name"), JOBS, ids=lambda value: value)
def test_every_step_of_a_job_runs(prepared, file, name, options):
    job = Runner(prepared, {"script": "models.py"}, options)
    write_script(job.tools / "make", MAKE)
    (prepared / ".venv/bin").mkdir(parents=True)
    (prepared / ".venv/bin/falcon-edge").symlink_to(job.tools / "falcon-edge")
    ran = [step for step in steps(file, name) if "run" in step]
    for step in ran:
        assert job.wanted(step)
        assert job.run(step) == 0, job.done.stderr
    assert ran
    REACHED[file, name](job)


def gate_measures_each_branch(job):
    (gate,) = [step["with"] for step in steps("gate.yml", "pull-request") if step.get("uses") == "./head"]
    for name in ("new", "baseline"):
        assert (job.folder / gate[name] / "exports/model.fp32.onnx").is_file()
    assert job.installed.read_text() == "-m pip install --constraint head/constraints.txt ./head\n"


def gate_measures_main(job):
    (gate,) = [step["with"] for step in steps("gate.yml", "main") if step.get("uses") == "./"]
    assert (job.folder / gate["new"] / "exports/model.fp32.onnx").is_file()


def arm_makes_the_models(job):
    assert (job.folder / "small.onnx").exists()
    installs = "-m pip install --constraint .falcon-edge/constraints.txt ./.falcon-edge\n"
    assert job.installed.read_text() == installs


def arm_runs_the_demo_and_the_tests(job):
    assert job.installed.read_text() == "make demo\nmake test\n"
    assert "speedup" in job.summary.read_text()


def arm_reports_all_machines(job):
    for text in (job.summary.read_text(), (job.folder / "report.html").read_text()):
        assert all(f"The CPU of {machine}" in text for machine in MACHINES)
    assert all(line.startswith("    ") for line in job.summary.read_text().splitlines())


REACHED = {
    ("arm.yml", "measure"): arm_makes_the_models,
    ("arm.yml", "own"): arm_runs_the_demo_and_the_tests,
    ("arm.yml", "together"): arm_reports_all_machines,
    ("gate.yml", "main"): gate_measures_main,
    ("gate.yml", "pull-request"): gate_measures_each_branch,
}


@pytest.mark.slow
def test_the_script_of_the_documentation_makes_the_models(tmp_path):
    script = re.search(r"```python\n(.*?)```", (ROOT / "docs/real-arm.md").read_text(), re.DOTALL)[1]
    (tmp_path / "models.py").write_text(textwrap.dedent(script))
    (tmp_path / "falcon_edge").symlink_to(ROOT / "falcon_edge")
    (step,) = [step for step in steps("arm.yml", "measure") if step.get("name") == "Make the models"]
    job = Runner(tmp_path, {"script": "models.py"})
    assert job.run(step) == 0, job.done.stderr
    for name in ("standard", "small"):
        made = {path.name for path in (tmp_path / f"{name}.falcon/exports").iterdir()}
        assert made == {"model.fp32.onnx", "model.int8.onnx", "model.fp32.tflite", "model.int8.tflite"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("mkdir --parents x", 64), ("cp -a x y", 64), ("sed -i s/x/y/ x", 64), ("cat --number x", 64),
        ("readlink -f x", 127), ("nproc", 127), ("timeout 1 cat", 127), ("date -d tomorrow", 127),
    ],
)  # fmt: skip
def test_tools_of_gnu_are_hidden(tmp_path, line, says):
    assert Runner(tmp_path).run({"run": line}) == says
