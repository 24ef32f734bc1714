"""The GitHub action and the workflow that uses it: every shell step of theirs is run by bash, as a runner does."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/gate.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
EXPRESSION = re.compile(r"\$\{\{ (\S+) \}\}")


@dataclass
class Runner:
    """What a runner knows: where steps run, what they have put out, and how each of them ended."""

    folder: Path
    inputs: dict[str, str]

    def __post_init__(self):
        self.known = {f"inputs.{name}": about.get("default", "") for name, about in ACTION["inputs"].items()}
        self.known |= {f"inputs.{name}": value for name, value in self.inputs.items()}
        self.summary, self.output = self.folder / "summary.md", self.folder / "output"

    def wanted(self, step):
        """Whether its condition holds."""
        name, operator, value = re.fullmatch(r"(\S+) (==|!=) '(.*)'", step.get("if", "always == ''")).groups()
        return (self.known.get(name, "") == value) == (operator == "==")

    def run(self, step):
        """The exit code of a shell step; its outputs are known afterwards."""
        self.output.write_text("")
        values = {name: EXPRESSION.sub(lambda found: self.known.get(found[1], ""), text)
                  for name, text in step.get("env", {}).items()}  # fmt: skip
        environment = os.environ | values | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(self.summary), "GITHUB_OUTPUT": str(self.output),
        }  # fmt: skip
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        self.done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300
        )
        for line in self.output.read_text().splitlines():
            name, value = line.split("=", 1)
            self.known[f"steps.{step['id']}.outputs.{name}"] = value
        return self.done.returncode


@pytest.fixture
def runner(tmp_path):
    return lambda **inputs: Runner(tmp_path, inputs)


@pytest.fixture
def results(flow, tmp_path):
    """The standard network's results as NEW's and as a baseline's, files of which are smaller by `share`.

    Without what is doubtful of them: other tests run beside, and latencies in doubt are not compared.
    """

    def results(share=0.0, cpu=None):
        document = json.loads((flow.folder / "results.json").read_text())
        entries = [entry for entry in document["entries"] if entry["model"]["name"] == "standard"]
        document["entries"] = [entry | {"flags": []} for entry in entries]
        (tmp_path / "new.json").write_text(json.dumps(document))
        for entry in document["entries"]:
            entry["model"]["bytes"] = int(entry["model"]["bytes"] * (1 - share))
        document["before"]["cpu"] = cpu or document["before"]["cpu"]
        (tmp_path / "old.json").write_text(json.dumps(document))
        (tmp_path / "falcon-edge-results").mkdir()

    return results


# -- what is written in the files --


def test_steps_have_what_runners_need_and_shell_code_has_no_expressions():
    assert ACTION["runs"]["using"] == "composite"
    for step in [*STEPS.values(), *(step for job in WORKFLOW["jobs"].values() for step in job["steps"])]:
        assert ("run" in step) != ("uses" in step)
        if "run" in step:
            assert step["shell"] == "bash"
            assert "${{" not in step["run"]


def test_every_input_is_described_and_used_and_every_expression_is_known():
    used = set(EXPRESSION.findall((ROOT / "action.yml").read_text()))
    conditions = {step["if"].split()[0] for step in STEPS.values() if " " in step.get("if", "")}
    inputs = {f"inputs.{name}" for name in ACTION["inputs"]}
    assert inputs <= used | conditions
    assert used - inputs == {"github.action_path", "steps.check.outputs.verdict"}
    assert all(
        about["description"] and ("default" in about or about["required"]) for about in ACTION["inputs"].values()
    )


def test_the_workflow_gives_the_action_what_it_takes():
    own = [step for job in WORKFLOW["jobs"].values() for step in job["steps"] if step.get("uses", "").startswith("./")]
    assert len(own) == 2
    for step in own:
        assert set(step["with"]) <= set(ACTION["inputs"])
    (benchmark,) = [step for step in WORKFLOW["jobs"]["main"]["steps"] if "benchmark-action" in step.get("uses", "")]
    folder, file = benchmark["with"]["output-file-path"].split("/")
    assert folder == ACTION["inputs"]["folder"]["default"]
    assert f'"$FOLDER/{file}"' in STEPS["Bench"]["run"]
    assert benchmark["with"]["tool"] == "customSmallerIsBetter"


# -- what they do --


def test_a_model_is_measured_checked_reported_and_judged(flow, runner, tmp_path):
    """FALCON beside its standard network; it may be as slow as it likes here."""
    job = runner(
        new=str(flow.folder / "falcon.falcon"), baseline=str(flow.folder / "standard.falcon"), runtime="onnxruntime",
        tolerance="10000%", seconds="0", history="history.jsonl", install="false",
    )  # fmt: skip
    steps = [step for step in STEPS.values() if "run" in step and job.wanted(step)]
    assert [step["name"] for step in steps] == ["Bench", "Check", "Report", "Judge"]
    for step in steps:
        assert job.run(step) == 0, job.done.stderr
    assert job.known["steps.check.outputs.verdict"] == "pass"
    assert job.summary.read_text().startswith("## ✅ pass")
    made = {path.name for path in (tmp_path / "falcon-edge-results").iterdir()}
    assert made == {
        *("results.json", "results.csv", "benchmark.json"),
        *("check.json", "summary.md", "junit.xml", "report.html"),
    }
    rows = json.loads((tmp_path / "falcon-edge-results/benchmark.json").read_text())
    assert all({"name", "unit", "value"} <= set(row) for row in rows)
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 1


def test_without_a_baseline_a_model_is_only_measured(runner):
    job = runner(new="new.falcon")
    assert [name for name, step in STEPS.items() if "run" in step and job.wanted(step)] == [
        "Install", "Bench", "Report",
    ]  # fmt: skip


def of_results(step):
    """The step as it is for results, which are not measured: nothing else lets a test choose a verdict."""
    output = '--output="$FOLDER/check.json" '
    assert step["run"].count(output) == 1
    return step | {"run": step["run"].replace(output, "")}


@pytest.mark.parametrize(("share", "cpu", "verdict"), [(0.5, None, "regression"), (0.0, "another", "inconclusive")])
def test_what_did_not_pass_is_in_the_summary_and_does_not_end_the_step(results, runner, share, cpu, verdict):
    results(share, cpu)
    job = runner(new="new.json", baseline="old.json", tolerance="10%")
    assert job.run(of_results(STEPS["Check"])) == 0
    assert job.known["steps.check.outputs.verdict"] == verdict
    assert verdict in job.summary.read_text().splitlines()[0]


def failing(tmp_path, kind):
    """The new results, of which one file failed."""
    document = json.loads((tmp_path / "new.json").read_text())
    document["entries"][0]["failure"] = {"kind": kind, "message": "it went wrong"}
    (tmp_path / "new.json").write_text(json.dumps(document))


def test_a_device_that_failed_ends_the_step_and_is_in_the_summary(results, runner, tmp_path):
    results()
    failing(tmp_path, "connection")
    job = runner(new="new.json", baseline="old.json")
    assert job.run(of_results(STEPS["Check"])) == 4
    assert job.summary.read_text().startswith("## ⚠️ no verdict")
    assert "steps.check.outputs.verdict" not in job.known


@pytest.mark.parametrize(("allowed", "verdict"), [("false", "regression"), ("true", "pass")])
def test_a_file_that_is_missing_may_be_allowed(results, runner, tmp_path, allowed, verdict):
    results()
    document = json.loads((tmp_path / "new.json").read_text())
    document["entries"] = document["entries"][:1]
    (tmp_path / "new.json").write_text(json.dumps(document))
    job = runner(new="new.json", baseline="old.json", tolerance="10000%", allow_missing=allowed)
    assert job.run(of_results(STEPS["Check"])) == 0
    assert job.known["steps.check.outputs.verdict"] == verdict


def test_a_baseline_that_cannot_be_read_ends_the_step(results, runner):
    results()
    job = runner(new="new.json", baseline="none.json")
    assert job.run(of_results(STEPS["Check"])) == 2
    assert "none.json: cannot be read" in job.done.stderr
    assert job.wanted(STEPS["Judge"])
    assert job.run(STEPS["Judge"]) == 1
    assert not job.summary.exists()


@pytest.mark.parametrize(
    ("verdict", "inconclusive", "code"),
    [
        ("pass", "pass", 0), ("pass", "fail", 0), ("regression", "pass", 1), ("regression", "fail", 1),
        ("inconclusive", "pass", 0), ("inconclusive", "fail", 1), ("", "pass", 1),
    ],
)  # fmt: skip
def test_the_judge(runner, verdict, inconclusive, code):
    job = runner(inconclusive=inconclusive)
    job.known["steps.check.outputs.verdict"] = verdict
    assert job.run(STEPS["Judge"]) == code
    assert job.done.stdout.startswith("::error::") == bool(code)


@pytest.mark.parametrize("step", ["Bench", "Check", "Report"])
def test_what_comes_in_is_no_shell_code(runner, tmp_path, step):
    attack = "$(touch one)`touch two`\"; touch three; \"' ; touch four ; '"
    names = set(ACTION["inputs"]) - {"folder", "install"}
    for inputs in (dict.fromkeys(names, attack), {"new": "new.onnx", "folder": attack}):
        assert runner(**inputs).run(STEPS[step]) == 2
    assert not [path for path in tmp_path.iterdir() if path.name in ("one", "two", "three", "four")]


def test_the_workflow_exports_the_model_of_each_branch(runner, tmp_path):
    for branch in ("base", "head"):
        (tmp_path / branch).symlink_to(ROOT)
    (step,) = [step for step in WORKFLOW["jobs"]["pull-request"]["steps"] if "each branch" in step.get("name", "")]
    assert runner().run(step) == 0
    (gate,) = [step for step in WORKFLOW["jobs"]["pull-request"]["steps"] if step.get("uses") == "./head"]
    for name in ("new", "baseline"):
        assert (tmp_path / gate["with"][name] / "exports/model.fp32.onnx").is_file()
