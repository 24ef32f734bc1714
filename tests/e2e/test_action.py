"""The GitHub action: every shell step of it is run by bash, as a runner does."""

import json

import pytest
from posix_tools import write_script
from steps import ACTION, EXPRESSION, ROOT, SHELLS, STEPS, WORKFLOWS, Runner

GATE = WORKFLOWS["gate.yml"]["jobs"]


@pytest.fixture
def runner(tmp_path):
    return lambda shell="bash", **inputs: Runner(tmp_path, inputs, SHELLS[shell])


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
    own = [step for job in GATE.values() for step in job["steps"] if step.get("uses", "").startswith("./")]
    assert len(own) == 2
    for step in own:
        assert set(step["with"]) <= set(ACTION["inputs"])
    (benchmark,) = [step for step in GATE["main"]["steps"] if "benchmark-action" in step.get("uses", "")]
    folder, file = benchmark["with"]["output-file-path"].split("/")
    assert folder == ACTION["inputs"]["folder"]["default"]
    assert f'"$FOLDER/{file}"' in STEPS["Bench"]["run"]
    assert benchmark["with"]["tool"] == "customSmallerIsBetter"


# -- what they do --


@pytest.mark.slow
def test_a_model_is_measured_checked_reported_and_judged(flow, runner, tmp_path):
    """FALCON beside its standard network; it may be as slow as it likes here."""
    job = runner(
        new=str(flow.folder / "falcon.falcon"), baseline=str(flow.folder / "standard.falcon"), runtime="onnxruntime",
        precision="fp32", tolerance="10000%", patience="0s", seconds="0", history="history.jsonl", install="false",
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


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("verdict", "inconclusive", "code"),
    [
        ("pass", "pass", 0), ("pass", "fail", 0), ("regression", "pass", 1), ("regression", "fail", 1),
        ("inconclusive", "pass", 0), ("inconclusive", "fail", 1), ("", "pass", 1),
    ],
)  # fmt: skip
def test_the_judge(runner, verdict, inconclusive, code, shell):
    job = runner(shell, inconclusive=inconclusive)
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


RECORDER = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done > said
"""
ALWAYS = {
    "Bench": ["bench", "--seconds=5", "--output=f/results.json", "--csv=f/results.csv",
              "--benchmark-json=f/benchmark.json", "--", "NEW"],
    "Check": ["check", "--baseline=", "--output=f/check.json", "--markdown=f/summary.md", "--junit=f/junit.xml", "--",
              "NEW"],
    "Report": ["report", "--output=f/report.html", "--", "f/results.json"],
}  # fmt: skip
ODD = "-a b*$HOME"
CHOSEN = ["data", "class_map", "runtime", "precision"]
ALSO = {
    "Bench": [*CHOSEN, "profile", "standard"],
    "Check": [*CHOSEN, "allow_missing", "tolerance", "patience", "history"],
    "Report": ["baseline", "standard"],
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("step", ALWAYS)
def test_the_program_is_told_what_came_in_word_by_word(runner, tmp_path, step, shell):
    """The same in either mode of bash, whatever is in the words; what did not come in is not said."""

    def said(**inputs):
        job = runner(shell, new="NEW", folder="f", **inputs)
        write_script(job.tools / "falcon-edge", RECORDER)
        assert job.run(STEPS[step]) == 0, job.done.stderr
        return (tmp_path / "said").read_text().splitlines()

    assert said() == ALWAYS[step]
    for name in ALSO[step]:
        flag = name in ("profile", "allow_missing")
        words = set(said(**{name: "true" if flag else ODD})) - set(ALWAYS[step])
        option = f"--{name.replace('_', '-')}"
        if step == "Report":
            assert words == ({"f/check.json"} if name == "baseline" else set())
        else:
            assert words == {option if flag else ODD if name == "standard" else f"{option}={ODD}"}


def test_a_standard_network_is_measured_and_reported_beside_its_baseline(runner, tmp_path):
    job = runner(new="NEW", standard="STANDARD", baseline="OLD", folder="f")
    write_script(job.tools / "falcon-edge", RECORDER)
    for step, last in (("Bench", ["--", "STANDARD", "NEW"]), ("Report", ["--", "f/results.json"])):
        assert job.run(STEPS[step]) == 0
        assert (tmp_path / "said").read_text().splitlines()[-len(last) :] == last
