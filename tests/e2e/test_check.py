"""check as CI runs it: verdicts, exit codes, and what it writes."""

import json
import shutil
from xml.etree import ElementTree

import pytest

CHECK = "check new.json --baseline old.json"


@pytest.fixture
def folder(flow, tmp_path):
    """The flow's results as those of a baseline, and of a new model that changed in what `change` says.

    Without what is doubtful of them: other tests run beside, and latencies in doubt are not compared.
    """
    document = json.loads((flow.folder / "results.json").read_text())
    entries = [entry for entry in document["entries"] if entry["model"]["name"] == "standard"]
    document["entries"] = [entry | {"flags": []} for entry in entries]
    (tmp_path / "old.json").write_text(json.dumps(document))
    shutil.copy(tmp_path / "old.json", tmp_path / "new.json")
    return tmp_path


def changed(folder, **model):
    document = json.loads((folder / "new.json").read_text())
    for entry in document["entries"]:
        entry["model"] |= model
    (folder / "new.json").write_text(json.dumps(document))


def loose(folder):
    (folder / "loose.toml").write_text("latency = 100\npaced = 100\n")
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
        (f"{CHECK} --tolerance 5", "--tolerance 5: write 5%, or a share below 1, as in 0.05"),
        (f"{CHECK} --tolerance 1", "--tolerance 1: write 1%"),
        (f"{CHECK} --tolerance nan", "--tolerance nan: write a share"),
        (f"{CHECK} --tolerance inf%", "at least 0"),
        (f"{CHECK} --device local", "are results, and nothing is measured; leave --device out"),
        (f"{CHECK} --data sample", "are results, and nothing is measured; leave --data out"),
        (f"{CHECK} --no-confirm", "new.json and old.json are results, and nothing is measured; leave --confirm out"),
        (f"{CHECK} -o results.json", "are results, and nothing is measured; leave --output out"),
        (f"{CHECK} --precision int8", "new.json: has no entry that is selected"),
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


def edited(folder, edit, name="new.json"):
    """Results of which an entry was changed (the function may return None: it is left out)."""
    document = json.loads((folder / name).read_text())
    document["entries"] = [entry for entry in map(edit, document["entries"]) if entry is not None]
    (folder / name).write_text(json.dumps(document))


def of_tflite(change):
    return lambda entry: change(entry) if entry["model"]["target"] == "tflite" else entry


def failing(kind):
    return of_tflite(lambda entry: entry | {"failure": {"kind": kind, "message": "it went wrong", "signal": None}})


def test_a_file_that_went_wrong_is_a_regression_in_every_output(warm, folder):
    edited(folder, failing("wrong-outputs"))
    done = warm(f"{loose(folder)} --allow-missing --json --markdown summary.md --junit report.xml", folder)
    assert (done.code, done.document["verdict"]) == (1, "regression")
    (found,) = [finding for finding in done.document["findings"] if finding["figure"] == "failure"]
    assert (found["model"], found["baseline"]) == ("standard, model.fp32.tflite",) * 2
    assert found["place"] == "litert, 1 thread, local"
    assert done.document["tolerances"]["latency"] == 100
    summary, report = ((folder / name).read_text() for name in ("summary.md", "report.xml"))
    words = warm(CHECK, folder).words
    for output in (summary, report, words):
        assert "model.fp32.tflite" in output
        assert "it failed: it went wrong" in output


def test_a_device_that_was_lost_is_no_verdict_and_ends_in_4(warm, folder):
    edited(folder, failing("connection"))
    changed(folder, bytes=10**9)  # a regression, of which nothing is said then
    done = warm(f"{CHECK} --json --markdown summary.md --junit report.xml", folder)
    assert (done.code, done.document["verdict"]) == (4, None)
    assert done.err.splitlines()[-1].startswith("error: no verdict: standard, model.fp32.tflite beside standard,")
    assert (folder / "summary.md").read_text().startswith("## ⚠️ no verdict")
    (suite,) = ElementTree.parse(folder / "report.xml").getroot()
    assert suite.get("errors") == "1"


def test_what_is_missing_is_a_regression_unless_it_may_be(warm, folder):
    edited(folder, of_tflite(lambda entry: None))
    done = warm(f"{loose(folder)} --json", folder)
    assert (done.code, done.document["verdict"]) == (1, "regression")
    assert "missing" in {finding["figure"] for finding in done.document["findings"]}
    assert warm(f"{loose(folder)} --allow-missing -q", folder).code == 0
    swapped = loose(folder).replace("new.json", "x").replace("old.json", "new.json").replace("x", "old.json")
    done = warm(f"{swapped} --json", folder)
    assert (done.code, done.document["verdict"]) == (0, "pass")
    assert "new" in {finding["figure"] for finding in done.document["findings"]}


def test_selected_results_are_compared_and_what_is_allowed_is_said(warm, folder):
    done = warm(f"{CHECK} --runtime litert --tolerance 10000%", folder)
    assert done.code == 0
    assert "model.fp32.tflite" in done.words
    assert "model.fp32.onnx" not in done.words
    assert (
        "latency 10000%, paced 10000%, cold 10000%, memory 10000%, size 10000%, counts 10000%, accuracy 1 point"
        in done.words
    )


@pytest.mark.slow
def test_two_models_are_measured_now(warm, flow, tmp_path):
    """Latency may say what it likes here; the network is three times as large, and that is certain."""
    files = (flow.folder / f"{name}.falcon/exports/model.fp32.onnx" for name in ("standard", "falcon"))
    new, old = (shutil.copy(file, tmp_path / name) for file, name in zip(files, ("new.onnx", "old.onnx"), strict=True))
    done = warm(f"check {new} --baseline {old} --no-confirm --json -o results.json", tmp_path)
    assert (done.code, done.document["verdict"]) == (1, "regression")
    found = {finding["figure"]: finding["verdict"] for finding in done.document["findings"]}
    assert found["macs"] == found["parameters"] == "regression"
    assert len(json.loads((tmp_path / "results.json").read_text())["entries"]) == 2


def test_results_of_a_busy_machine_are_inconclusive_and_end_in_3(warm, folder):
    document = json.loads((folder / "new.json").read_text())
    document["entries"][0]["flags"] = [{"flag": "load", "reason": "a load of 9 on 2 cores", "remedy": "stop it"}]
    (folder / "new.json").write_text(json.dumps(document))
    done = warm(f"{loose(folder)} -q", folder)
    assert done.code == 3
    assert "in doubt (load: a load of 9 on 2 cores)" in done.err


@pytest.mark.parametrize("patience", ["", "-1", "soon", "1d", "nan", "inf"])
def test_a_patience_that_is_no_time_is_refused(warm, flow, patience):
    done = warm(f"check standard.falcon --baseline standard.falcon --patience={patience}", flow.folder)
    assert (done.code, done.out) == (2, "")
    assert f"--patience {patience}: write a time, as in 33ms, 90s or 2m" in done.err


@pytest.mark.slow
def test_how_it_was_measured_is_in_every_output(warm, flow, tmp_path):
    outputs = f"--markdown {tmp_path / 'summary.md'} --junit {tmp_path / 'report.xml'}"
    done = warm(
        "check standard.falcon --baseline standard.falcon --runtime litert --precision fp32 --tolerance 900% "
        f"--patience 0s --json {outputs}",
        flow.folder,
    )
    assert done.code == 0
    measured = done.document["measured"]
    assert (measured["runs"], measured["looks"]) == (1, [1])
    assert "1 run in " in (tmp_path / "summary.md").read_text()
    (suite,) = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert suite.find("properties/property").get("value").startswith("1 run in ")
