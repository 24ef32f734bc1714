"""Results files: what is saved is read again, and nothing else is."""

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime_bench import results as results_module
from runtime_bench.errors import BenchInputError
from runtime_bench.files import check_outputs
from runtime_bench.results import (
    SCHEMA_VERSION,
    Agreement,
    Burst,
    Call,
    Failure,
    Flag,
    Layer,
    Memory,
    Profile,
    Quality,
    load,
    save,
    summarise,
)

durations = st.integers(1, 10**13)


@pytest.fixture(scope="module")
def full(entry, results):
    """Results with every part in use."""
    whole = entry(
        cpus=(0, 1),
        load_ns=5,
        first_inference_ns=6,
        memory=Memory(before_load=1, after_load=2, peak=None),
        quality=(Quality(metric="top1", value=2 / 3, interval=(0.2, 0.9), data="d", samples=3, unit="share"),),
        agreement=(
            Agreement(
                output="logits",
                vectors=1,
                max_abs=0.1,
                max_relative=None,
                snr_db=91.5,
                classes_equal=1,
                within_tolerance=True,
            ),
        ),
        flags=(Flag(flag="load", reason="a reason", remedy="a remedy"),),
    )
    failed = entry("compressed", (), runtime=None, failure=Failure(kind="signal", message="died", signal="SIGSEGV"))
    return results(whole, failed)


@pytest.fixture
def document(full):
    return json.loads(full.model_dump_json())


def written(document, folder):
    path = folder / "results.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


# -- round trip --


def test_what_is_saved_is_read_again(tmp_path, full):
    path = tmp_path / "results.json"
    save(full, path)
    assert load(path) == full
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]
    assert path.stat().st_mode & 0o777 == 0o644


@given(st.lists(st.lists(durations, max_size=5), min_size=1, max_size=4))
def test_samples_and_summary_survive_to_the_last_digit(tmp_path_factory, entry, results, bursts):
    bursts = tuple(Burst(process=0, round=index, samples_ns=tuple(burst)) for index, burst in enumerate(bursts))
    made = results(entry(samples=()).model_copy(update={"bursts": bursts, "summary": summarise(bursts)}))
    path = tmp_path_factory.getbasetemp() / "survivors.json"
    save(made, path)
    assert load(path) == made


def test_the_same_results_are_the_same_bytes(tmp_path, full):
    save(full, tmp_path / "one.json")
    save(full, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


# -- writing --


def test_where_nothing_can_be_written(tmp_path, full):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("old")
    for path, said in (
        (tmp_path / "missing" / "results.json", "No such file or directory"),
        (folder, "Is a directory"),
        (folder / "file" / "results.json", "Not a directory"),
    ):
        for action in (lambda path: check_outputs([path]), lambda path: save(full, path)):
            with pytest.raises(BenchInputError, match=said):
                action(path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_asking_whether_a_file_can_be_written_leaves_it_alone(tmp_path):
    path = tmp_path / "results.json"
    check_outputs([path])
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    check_outputs([path])
    assert path.read_text() == "old"


def test_a_disk_that_is_full_half_way_leaves_the_old_file(tmp_path, full):
    """A real limit on the size of files, in a process of its own."""
    path, source = tmp_path / "results.json", tmp_path / "source.json"
    path.write_text("old")
    save(full, source)
    script = f"""
import resource, signal
from pathlib import Path
from runtime_bench.results import load, save

full = load(Path({str(source)!r}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
save(full, Path({str(path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (
        done.stderr.splitlines()[-1]
        == f"runtime_bench.errors.BenchInputError: {path}: cannot be written (File too large)"
    )
    assert path.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["results.json", "source.json"]


# -- what is no results file --


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("no JSON", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("\xff", "no JSON"),
        ("[]", "no schema_version"),
        ("{}", "no schema_version"),
        ('{"name": "foreign", "version": 3}', "no schema_version"),
    ],
)
def test_foreign_files(tmp_path, text, said):
    path = tmp_path / "results.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BenchInputError, match=f"results.json: not a results file \\({said}"):
        load(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(BenchInputError, match=r"none\.json: cannot be read \(No such file"):
        load(tmp_path / "none.json")


def test_truncated_json_at_any_place(tmp_path, full):
    text = full.model_dump_json()
    for length in range(0, len(text) - 1, 97):
        with pytest.raises(BenchInputError, match="no JSON"):
            load(written(text[:length], tmp_path))


@pytest.mark.parametrize("version", [0, 7, "1", None, True, 1.5, [1]])
def test_another_version(tmp_path, document, version):
    with pytest.raises(BenchInputError) as caught:
        load(written(document | {"schema_version": version}, tmp_path))
    assert f"results of version {version}; this program reads up to 6" in str(caught.value)


def test_an_older_version_is_brought_up(tmp_path, monkeypatch, full, document):
    old = {"broken" if key == "interrupted" else key: value for key, value in document.items()} | {"schema_version": 0}

    def upgrade(document):
        renamed = {"interrupted" if key == "broken" else key: value for key, value in document.items()}
        return renamed | {"schema_version": 1}

    monkeypatch.setitem(results_module.UPGRADES, 0, upgrade)
    monkeypatch.setitem(results_module.UPGRADES, 1, lambda document: document | {"schema_version": SCHEMA_VERSION})
    assert load(written(old, tmp_path)) == full


@pytest.mark.parametrize("correct", [2, 4])
def test_version_3_knew_top1_and_one_output(tmp_path, full, document, correct):
    entry = document["entries"][0]
    del entry["quality"]
    (agreed,) = entry["agreement"]
    entry["agreement"] = {name: agreed[name] for name in agreed if name not in ("output", "classes_equal")}
    entry["agreement"]["top1_equal"] = 1
    entry["accuracy"] = {"data": "d", "samples": 3, "correct": correct, "top1": 2 / 3, "interval": [0.2, 0.9]}
    document["entries"][1] |= {"accuracy": None, "agreement": None}
    for name in ("quality",):
        document["entries"][1].pop(name)
    path = written(document | {"schema_version": 3}, tmp_path)
    if correct > 3:
        with pytest.raises(BenchInputError, match="not a valid results file of version 3"):
            load(path)
        return
    found = load(path).entries
    assert found[0].quality == full.entries[0].quality
    assert found[0].agreement[0] == full.entries[0].agreement[0].model_copy(update={"output": None})
    assert (found[1].quality, found[1].agreement) == ((), ())


def test_version_5_had_what_a_call_takes_beside_the_peaks(tmp_path, document):
    layer = Layer(operators=("Relu",), output="y", shape=(1,), dtype="float32", macs=0, bytes=8, ns=1.0)
    profile = Profile(method="runtime", layers=(layer,)).model_dump(mode="json")
    document["entries"][0]["profile"] = {name: profile[name] for name in profile if name != "call"}
    document["peaks"] = {"macs_per_second": {"fp32": 1.0}, "bytes_per_second": 1.0}
    document["peaks"]["calls"] = {document["entries"][0]["runtime"]["name"]: {"ns": 1, "cold_ns": 2}}
    found = load(written(document | {"schema_version": 5}, tmp_path))
    assert found.peaks.bytes_per_second == 1
    assert [entry.profile and entry.profile.call for entry in found.entries] == [Call(ns=1, cold_ns=2), None]


def test_version_4_is_read():
    path = Path(__file__).with_name("results_version_4.json")
    assert json.loads(path.read_text())["schema_version"] == 4
    for entry in load(path).entries:
        assert (entry.paced, entry.cold, [*entry.timings]) == (None, None, ["back to back"])
        assert entry.timings["back to back"].summary == entry.summary


def test_version_3_is_read():
    found = load(Path(__file__).with_name("results_version_3.json"))
    assert [entry.quality[0].metric for entry in found.entries] == ["top1"] * 4
    assert all(each.within_tolerance for entry in found.entries for each in entry.agreement)


def test_version_1_is_read():
    path = Path(__file__).with_name("results_version_1.json")
    assert json.loads(path.read_text())["schema_version"] == 1
    for entry in load(path).entries:
        samples = [sample for burst in entry.bursts for sample in burst.samples_ns]
        assert entry.summary.p95_ns == pytest.approx(np.percentile(samples, 95))
        assert entry.intervals is None


@pytest.mark.parametrize("entries", [None, [None], [{"summary": {}}], [{"summary": {}, "bursts": [{}]}], 7])
def test_a_damaged_version_1(tmp_path, entries):
    with pytest.raises(BenchInputError, match="not a valid results file"):
        load(written({"schema_version": 1, "entries": entries}, tmp_path))


@pytest.mark.parametrize(
    "path",
    [
        ("entries", 0, "quality", 0, "value"),
        ("entries", 0, "agreement", 0, "snr_db"),
        ("entries", 0, "summary", "p50_ns"),
        ("before", "load_1min"),
    ],
)
@pytest.mark.parametrize("value", [math.nan, math.inf, "NaN"])
def test_numbers_that_are_none_are_refused(tmp_path, document, path, value):
    place = document
    for key in path[:-1]:
        place = place[key]
    assert path[-1] in place
    place[path[-1]] = value
    with pytest.raises(BenchInputError, match=r"results\.json: not a valid results file: "):
        load(written(document, tmp_path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entry: entry["summary"].update(p50_ns=109.0), "summary is not that of its samples"),
        (lambda entry: entry["summary"].update(count=4), "summary is not that of its samples"),
        (lambda entry: entry["bursts"][0]["samples_ns"].append(130), "summary is not that of its samples"),
        (lambda entry: entry.update(bursts=[]), "summary is not that of its samples"),
        (lambda entry: entry.update(summary=None), "summary is not that of its samples"),
        (lambda entry: entry["bursts"][0].update(samples_ns=[0]), "greater than 0"),
        (lambda entry: entry["bursts"][0].update(samples_ns=[-5]), "greater than 0"),
        (lambda entry: entry["model"].update(role="teacher"), "standard"),
        (lambda entry: entry.update(colour="red"), "Extra inputs"),
        (lambda entry: entry.pop("device"), "Field required"),
    ],
)
def test_entries_that_cannot_be(tmp_path, document, change, said):
    change(document["entries"][0])
    with pytest.raises(BenchInputError, match=said) as caught:
        load(written(document, tmp_path))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("quality", 0, "value"), 5.0),
        (("quality", 0, "value"), -0.1),
        (("quality", 0, "samples"), 0),
        (("quality", 0, "interval"), [0.9, 0.2]),
        (("quality", 0, "interval"), [0.2, 1.5]),
        (("quality", 0, "unit"), "furlong"),
        (("memory", "peak"), -1),
        (("memory", "after_load"), 10**30),
        (("energy_j",), -0.5),
        (("load_ns",), 0),
        (("first_inference_ns",), -1),
        (("cpus",), [-1]),
        (("runtime", "threads"), 0),
        (("agreement", 0, "max_abs"), -1.0),
        (("agreement", 0, "classes_equal"), 2),
        (("intervals",), {"p50_ns": [2, 1], "p90_ns": [1, 2], "p95_ns": [1, 2], "p99_ns": [1, 2]}),
        (("intervals",), {"p50_ns": [1, 2], "p90_ns": [1, 2], "p95_ns": [1, 2], "p99_ns": [-1, 2]}),
        (("bursts", 0, "process"), -1),
        (("model", "bytes"), -1),
        (("model", "macs"), -1),
    ],
)
def test_figures_that_cannot_be(tmp_path, document, place, value):
    part = document["entries"][0]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    with pytest.raises(BenchInputError, match=r"not a (valid )?results file"):
        load(written(document, tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [("load_1min", -1.0), ("cores", 0), ("cores", 10**30), ("throttled", -1), ("frequencies_mhz", [-2000.0])],
)
def test_machines_that_cannot_be(tmp_path, document, name, value):
    document["before"][name] = value
    with pytest.raises(BenchInputError, match=r"not a (valid )?results file"):
        load(written(document, tmp_path))


def test_figures_that_are_no_numbers_are_not_made_either():
    with pytest.raises(ValidationError):
        Quality(metric="top1", value=math.nan, interval=(0.0, 1.0), data="d", samples=1)


# -- summary --


def test_no_samples_no_summary():
    assert summarise(()) is None
    assert summarise((Burst(process=0, round=0, samples_ns=()),)) is None


@given(st.lists(durations, min_size=1, max_size=300), st.integers(1, 7))
def test_the_summary_is_of_all_samples_whatever_the_bursts(samples, size):
    pieces = [samples[start : start + size] for start in range(0, len(samples), size)]
    bursts = tuple(Burst(process=0, round=index, samples_ns=tuple(piece)) for index, piece in enumerate(pieces))
    found = summarise(bursts)
    p25, p50, p75, p90, p99 = np.quantile(np.array(samples, float), [0.25, 0.5, 0.75, 0.9, 0.99])
    assert found.count == len(samples)
    assert found.min_ns == min(samples)
    assert (found.p50_ns, found.p90_ns, found.p99_ns, found.iqr_ns) == (p50, p90, p99, p75 - p25)
    assert found.min_ns <= found.p50_ns <= found.p90_ns <= found.p99_ns <= max(samples)
    if len(samples) > 1:  # the standard library, which knows nothing of NumPy
        cuts = statistics.quantiles(samples, n=100, method="inclusive")
        assert [found.p50_ns, found.p90_ns, found.p99_ns] == pytest.approx([cuts[49], cuts[89], cuts[98]], rel=1e-12)
