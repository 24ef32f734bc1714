"""check as CI runs it: verdicts, exit codes, and what it writes."""

import json
import shutil
from xml.etree import ElementTree

import pytest

CHECK = "check new.json --baseline old.json"


@pytest.fixture
def folder(flow, tmp_path):
    """The flow's results as those of a baseline, and of a new model that changed in what `change` says."""
    document = json.loads((flow.folder / "results.json").read_text())
    document["entries"] = [entry for entry in document["entries"] if entry["model"]["name"] == "standard"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    shutil.copy(tmp_path / "old.json", tmp_path / "new.json")
    return tmp_path


def changed(folder, **model):
    document = json.loads((folder / "new.json").read_text())
    for entry in document["entries"]:
        entry["model"] |= model
    (folder / "new.json").write_text(json.dumps(document))


def loose(folder):
    (folder / "loose.toml").write_text("latency = 100\n")
    return f"{CHECK} --tolerances loose.toml"


def test_what_has_not_changed_passes(warm, folder):
    done = warm(f"{loose(folder)} --json", folder)
    assert (done.code, done.document["verdict"]) == (0, "pass")
    assert {finding["verdict"] for finding in done.document["findings"]} == {"pass"}


def test_a_larger_file_is_a_regression_and_ends_in_1(warm, folder):
    changed(folder, bytes=10**9)
    done = warm(f"{loose(folder)} --markdown summary.md --junit report.xml -q", folder)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.startswith("error: regression: size of standard, model.fp32.")
    assert (folder / "summary.md").read_text().startswith("## ❌ regression")
    (suite,) = ElementTree.parse(folder / "report.xml").getroot()
    assert int(suite.get("failures")) == 2


def test_results_of_another_machine_are_inconclusive_and_end_in_3(warm, folder):
    document = json.loads((folder / "new.json").read_text())
    document["before"]["cpu"] = "another CPU"
    (folder / "new.json").write_text(json.dumps(document))
    done = warm(f"{CHECK} -q", folder)
    assert done.code == 3
    assert "different machines" in done.err


def test_what_was_measured_is_added_to_a_history(warm, folder):
    command = f"{loose(folder)} --history history.jsonl -q"
    assert [warm(command, folder).code for _ in range(2)] == [0, 0]
    lines = [json.loads(text) for text in (folder / "history.jsonl").read_text().splitlines()]
    measured = json.loads((folder / "new.json").read_text())["entries"]
    assert [line["p50_ns"] for line in lines] == [entry["summary"]["p50_ns"] for entry in measured]


def test_a_damaged_history_is_one_line_and_2(warm, folder):
    (folder / "history.jsonl").write_text('{"schema_version":1,"created"')
    done = warm(f"{CHECK} --history history.jsonl", folder)
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith("error: history.jsonl: line 1 is not of a history")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"{CHECK} --tolerance five", "--tolerance five: write a share"),
        (f"{CHECK} --tolerance -5%", "at least 0"),
        (f"{CHECK} --tolerance 5% --tolerances loose.toml", "give one of them"),
        (f"{CHECK} --tolerances none.toml", "none.toml: cannot be read"),
        ("check new.json --baseline none.json", "none.json: cannot be read"),
        ("check new.json --baseline old.onnx", "two results files, or two models"),
        (f"{CHECK} --junit none/report.xml", "none/report.xml: cannot be written"),
        (f"{CHECK} --history none/history.jsonl", "none/history.jsonl: cannot be written"),
    ],
)
def test_bad_usage_is_one_line_and_2(warm, folder, command, said):
    done = warm(command, folder)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_two_models_are_measured_now(warm, flow, tmp_path):
    """Latency may say what it likes here; the network is three times as large, and that is certain."""
    files = (flow.folder / f"{name}.falcon/exports/model.fp32.onnx" for name in ("standard", "falcon"))
    new, old = (shutil.copy(file, tmp_path / name) for file, name in zip(files, ("new.onnx", "old.onnx"), strict=True))
    done = warm(f"check {new} --baseline {old} --no-confirm --json -o results.json", tmp_path)
    assert (done.code, done.document["verdict"]) == (1, "regression")
    found = {finding["figure"]: finding["verdict"] for finding in done.document["findings"]}
    assert found["macs"] == found["parameters"] == "regression"
    assert len(json.loads((tmp_path / "results.json").read_text())["entries"]) == 2
