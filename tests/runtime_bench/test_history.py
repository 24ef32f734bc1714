"""The history: what is kept, and when a drift in it is an alarm. Latencies are simulated, the noise is seeded."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from runtime_bench.errors import BenchInputError
from runtime_bench.history import SHORTEST, Line, append, drifts, lines, read
from runtime_bench.regression import Tolerances, Verdict
from runtime_bench.results import Burst, Failure, Memory, Quality, summarise

TOLERANCES = Tolerances(latency=0.05)
STEP = 0.003  # a commit


def line(number=0, **options):
    values = {
        "created": "2026-01-01T00:00:00+00:00", "commit": f"{number:040x}", "machine": "a machine", "device": "local",
        "model": "vgg", "file": "vgg.onnx", "sha256": "0" * 64, "target": "onnx", "precision": "fp32",
        "runtime": "onnxruntime", "version": "1", "threads": 1, "p50_ns": 1e6, "bytes": 1000, **options,
    }  # fmt: skip
    return Line(**values)


def history(factors, **options):
    """A line a commit, with a p50 of 1 ms times a factor."""
    return [line(number, p50_ns=float(1e6 * factor), **options) for number, factor in enumerate(factors)]


def found(made, tolerances=TOLERANCES):
    return drifts(made, made[-1], tolerances)


def noisy(levels, noise, random):
    return np.asarray(levels) * np.exp(noise * random.standard_normal(len(levels)))


def alarms(made):
    """Whether the gate raises an alarm at any of the commits, each looking back at what was there then."""
    return any(drifts(made[:count], made[count - 1], TOLERANCES) for count in range(2 * SHORTEST, len(made) + 1))


# -- when it is an alarm --


def test_of_200_flat_histories_looked_at_after_every_commit_at_most_one_is_an_alarm():
    random = np.random.default_rng(0)
    flat = (noisy(np.ones(50), random.uniform(0.02, 0.03), random) for _ in range(200))
    assert sum(alarms(history(levels)) for levels in flat) <= 1


def test_a_slow_drift_is_found_that_no_single_step_shows():
    """20 commits without a change, then 40 that each add a sixteenth of the tolerance: 98 of 100 times at least."""
    assert TOLERANCES.latency > 16 * STEP
    random = np.random.default_rng(0)
    levels = (1 + STEP) ** np.maximum(np.arange(60) - 19, 0)
    drifted = (noisy(levels, random.uniform(0.02, 0.03), random) for _ in range(200))
    assert sum(bool(found(history(levels))) for levels in drifted) >= 196


def test_a_drift_from_the_first_commit_on_is_found():
    random = np.random.default_rng(0)
    levels = (1 + STEP) ** np.arange(40)
    assert sum(bool(found(history(noisy(levels, 0.02, random)))) for _ in range(200)) >= 190


@pytest.mark.parametrize("where", [0, 25, 48, 49])
@pytest.mark.parametrize("factor", [1.2, 3.0, 1000.0])
def test_a_single_outlier_is_no_alarm(where, factor):
    random = np.random.default_rng(where)
    for _ in range(10):
        levels = noisy(np.ones(50), 0.025, random)
        levels[where] *= factor
        assert found(history(levels)) == []


def test_what_becomes_faster_is_no_alarm():
    assert found(history(noisy(1.003 ** -np.arange(60.0), 0.02, np.random.default_rng(0)))) == []


def test_a_drift_back_from_what_was_won_is_one():
    """40% faster at commit 20, and half of it lost bit by bit: still faster than it ever was at first."""
    levels = np.concatenate([np.ones(20), 0.6 * 1.01 ** np.arange(30)])
    (finding,) = found(history(noisy(levels, 0.02, np.random.default_rng(0))))
    assert 0.58e6 < finding.old < 0.65e6
    assert finding.new < 1e6


def test_a_change_within_the_tolerance_is_no_alarm():
    levels = noisy([1.0] * 30 + [1.04] * 30, 0.005, np.random.default_rng(0))
    assert found(history(levels)) == []
    assert len(found(history(levels), Tolerances(latency=0.02))) == 1


@pytest.mark.parametrize("count", range(2 * SHORTEST))
def test_nothing_is_said_of_too_few_lines(count):
    made = history([1.0] * (count // 2) + [2.0] * (count - count // 2))
    assert drifts(made, line(p50_ns=2e6), TOLERANCES) == []


def test_what_a_finding_says():
    (finding,) = found(history([1.0] * 7 + [1.2] * 8))
    assert finding.verdict is Verdict.regression
    assert (finding.model, finding.figure) == ("vgg, vgg.onnx", "latency over 8 commits")
    assert (finding.old, finding.new) == pytest.approx((1e6, 1.2e6))
    assert finding.says == "+20.0%, 5% allowed; since 000000000000"


def test_runs_of_one_commit_are_called_runs():
    made = [each.model_copy(update={"commit": None}) for each in history([1.0] * 7 + [1.2] * 8)]
    (finding,) = found(made)
    assert finding.figure == "latency over 8 runs"
    assert finding.says.endswith("since 2026-01-01T00:00:00+00:00")
    (finding,) = found(history([1.0] * 7 + [1.2] * 8, commit="a" * 40))
    assert finding.figure == "latency over 8 runs"


@pytest.mark.parametrize(
    ("option", "other"),
    [
        ("machine", "another"), ("device", "arm64"), ("runtime", "litert"), ("threads", 2), ("model", "resnet"),
        ("target", "ort"), ("precision", "int8"),
    ],
)  # fmt: skip
def test_only_lines_that_can_be_compared_are(option, other):
    made = [*history([1.0] * 20, **{option: other}), *history([1.2] * 8)]
    assert found(made) == []
    assert found([*history([1.0] * 20, version="0.9"), *history([1.2] * 8, version="1.0")])


def test_the_ratio_to_the_same_baseline_counts_for_more_than_the_latency():
    """The machine became slower by half, the model beside its baseline did not; and the other way round."""
    pace = [1.0] * 20 + [1.5] * 20
    steady = [line(n, p50_ns=1e6 * f, ratio=0.5, baseline="b" * 64) for n, f in enumerate(pace)]
    assert found(steady) == []
    worse = [line(n, p50_ns=1e6, ratio=0.5 * f, baseline="b" * 64) for n, f in enumerate(pace)]
    (finding,) = found(worse)
    assert finding.change == pytest.approx(0.5)
    assert finding.new / finding.old == pytest.approx(1.5)
    moved = [line(n, p50_ns=1e6 * f, ratio=1.0, baseline=f"{n:064x}") for n, f in enumerate(pace)]
    assert len(found(moved)) == 1  # each commit against the one before: their ratios are no series


@pytest.mark.parametrize(("figure", "field"), [("memory", "memory"), ("size", "bytes"), ("macs", "macs")])
def test_what_has_no_noise_drifts_too(figure, field):
    made = [line(n, **{field: 1000 + 4 * max(n - 10, 0)}) for n in range(40)]
    (finding,) = found(made)
    assert finding.figure.startswith(f"{figure} over ")
    assert 0.05 < finding.change < 0.12
    assert found([line(n, **{field: 1000}) for n in range(40)]) == []


def test_accuracy_drifts_in_points_and_on_the_same_images_only():
    lost = [0.9 - 0.001 * max(n - 10, 0) for n in range(40)]
    judged = {"metric": "top1", "unit": "share", "data": "d", "images": 1000}
    made = [line(n, quality=top1, **judged) for n, top1 in enumerate(lost)]
    (finding,) = found(made)
    assert finding.figure.startswith("top1 over ")
    assert finding.old == pytest.approx(0.9)
    assert 0.01 < finding.change < 0.03
    for index, each in enumerate(made[:25]):
        made[index] = each.model_copy(update={"images": 500})
    assert found(made[:35]) == []


# -- what is kept of a run --


@pytest.fixture
def measured(entry):
    def measured(name, middle, **options):
        bursts = tuple(Burst(process=p, round=0, samples_ns=(middle - 1, middle, middle + 1)) for p in range(3))
        return entry(name, samples=(), **options).model_copy(update={"bursts": bursts, "summary": summarise(bursts)})

    return measured


def test_a_line_holds_what_was_measured(measured, results):
    new = measured("new", 1200, bytes=7, parameters=50).model_copy(
        update={
            "memory": Memory(before_load=1, after_load=2, peak=3),
            "quality": (Quality(metric="top1", value=0.75, interval=(0.2, 0.9), data="d", samples=4, unit="share"),),
        }
    )
    old = measured("old", 1000, sha256="1" * 64)
    (made,) = lines(results(new, old), [new], [old], "c" * 40)
    assert (made.p50_ns, made.ratio, made.baseline, made.commit) == (1200, 1.2, "1" * 64, "c" * 40)
    assert (made.memory, made.bytes, made.macs, made.parameters) == (3, 7, 1000, 50)
    assert (made.metric, made.quality, made.unit, made.data, made.images) == ("top1", 0.75, "share", "d", 4)
    assert (made.runtime, made.threads, made.model, made.file) == ("onnxruntime", 1, "new", "new.onnx")
    assert "a CPU" in made.machine


def test_without_a_baseline_there_is_no_ratio_and_an_emulated_time_is_no_latency(measured, results):
    new = measured("new", 1200)
    (alone,) = lines(results(new), [new], [], None)
    assert (alone.p50_ns, alone.ratio, alone.baseline) == (1200, None, None)
    (emulated,) = lines(results(new), [new.model_copy(update={"emulated": True})], [], None)
    assert emulated.p50_ns is None


def test_a_network_without_weights_is_kept_and_does_not_drift(measured, results):
    new = measured("new", 1200, macs=0, parameters=0)
    (made,) = lines(results(new), [new], [], None)
    assert (made.macs, made.parameters) == (0, 0)
    assert found([made] * 12) == []


def test_what_failed_is_not_kept(entry, results):
    failed = entry(samples=(), failure=Failure(kind="signal", message="died"))
    assert lines(results(failed), [failed], [], None) == []


# -- the file --


def test_what_is_appended_is_read_again_and_lies_on_a_line_each(tmp_path):
    path = tmp_path / "history.jsonl"
    assert read(path) == []
    first, second = history([1.0, 2.0])
    assert append(path, [first]) == [first]
    assert append(path, [second]) == [first, second] == read(path)
    assert [json.loads(text)["p50_ns"] for text in path.read_text().splitlines()] == [1e6, 2e6]
    assert path.read_text().endswith("\n")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_run_is_kept_once(tmp_path):
    path = tmp_path / "history.jsonl"
    append(path, history([1.0, 2.0]))
    before = path.read_bytes()
    assert append(path, history([1.0, 2.0])) == history([1.0, 2.0])
    assert path.read_bytes() == before


def test_lines_of_others_stay_as_they_are(tmp_path):
    """Without a line break at the end, in another order of keys, with another end of line."""
    path = tmp_path / "history.jsonl"
    document = json.loads(line(1).model_dump_json())
    text = json.dumps(dict(sorted(document.items())), indent=None)
    path.write_bytes(f"{text}\r\n{text}".encode())
    append(path, [line(2)])
    assert path.read_text().splitlines()[:2] == [text, text]
    assert read(path) == [line(1), line(1), line(2)]


WHOLE = line(1).model_dump_json()


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (WHOLE[: len(WHOLE) // 2], "Invalid JSON"),
        ("", "Invalid JSON"),
        ("[" * 10_000, "Invalid JSON"),
        ("[]", "object"),
        (WHOLE.replace('"schema_version":3', '"schema_version":4'), "schema_version: Input should be 3"),
        (WHOLE.replace('"p50_ns":1000000.0', '"p50_ns":NaN'), "p50_ns"),
        (WHOLE.replace('"p50_ns":1000000.0', '"p50_ns":1e999'), "p50_ns"),
        (WHOLE.replace('"p50_ns":1000000.0', '"p50_ns":0'), "p50_ns"),
        (WHOLE.replace('"bytes":1000', '"bytes":1' + 400 * "0"), "bytes"),
        (WHOLE.replace('"bytes":1000', '"bytes":0'), "bytes"),
        (WHOLE.replace('"macs":null', '"macs":-1'), "macs"),
        (WHOLE.replace('"bytes":1000', '"bytes":1000,"speed":1'), "speed"),
        (WHOLE.replace('"quality":null', '"quality":"good"'), "quality"),
        ("\udcff\udcfe", "JSON"),
    ],
)
def test_a_damaged_line_is_named_and_the_file_is_left_alone(tmp_path, damaged, said):
    path = tmp_path / "history.jsonl"
    path.write_text(f"{WHOLE}\n{damaged}\n{WHOLE}\n", errors="surrogateescape")
    before = path.read_bytes()
    for action in (lambda: read(path), lambda: append(path, [line(2)])):
        with pytest.raises(BenchInputError, match="line 2 is not of a history") as caught:
            action()
        assert said in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(BenchInputError, match="cannot be read"):
        read(tmp_path)
    with pytest.raises(BenchInputError, match="cannot be written"):
        append(tmp_path / "missing" / "history.jsonl", [line(1)])


def add(path, process):
    for number in range(10):
        append(path, [line(100 * process + number)])


def test_who_appends_at_the_same_time_loses_nothing_and_who_reads_sees_whole_lines(tmp_path):
    path = tmp_path / "history.jsonl"
    processes = [multiprocessing.get_context("fork").Process(target=add, args=(path, number)) for number in range(4)]
    for process in processes:
        process.start()
    counts = []
    while any(process.is_alive() for process in processes):
        counts.append(len(read(path)))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert counts == sorted(counts)
    assert len({each.commit for each in read(path)}) == 40


def test_version_1_is_read_and_its_lines_stay_as_they_are(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(Path(__file__).with_name("history_version_1.jsonl").read_bytes())
    before, known = path.read_bytes(), read(path)
    assert [(each.metric, each.quality is None) for each in known] == [("top1", False), (None, True)]
    append(path, [line(2)])
    assert path.read_bytes().startswith(before)
