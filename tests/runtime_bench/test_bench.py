"""Measuring several models against each other, with real workers."""

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from judged import by_top1
from small_networks import samples

from converters.runtimes import run_onnx, run_tflite
from falcon_edge.preprocessing import InputSpec, normalise
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import BenchInputError
from runtime_bench.golden import GoldenVector, Tolerance
from runtime_bench.measurement import IMAGES_PER_REQUEST
from runtime_bench.results import Failure, save, summarise
from runtime_bench.results import load as load_results
from runtime_bench.runtimes import runtime_for

MEAN, STD = (0.4, 0.5, 0.3), (0.2, 0.25, 0.3)


def quick(**options):
    return Protocol(
        **{
            "runs": 12,
            "seconds": 0.0,
            "processes": 1,
            "rounds": 4,
            "warm_up_runs": 1,
            "warm_up_seconds": 0.0,
            "every": 0.0,
            **options,
        }
    )


def candidate(path, **options):
    return Candidate(path, runtime_for(path.suffix).name, path.stem, path.suffix[1:], "fp32", **options)


def directly(path, inputs):
    return run_onnx(path, inputs)[0] if path.suffix == ".onnx" else run_tflite(path, inputs)[0]


class Watched(LocalDevice):
    """This machine, with every request noted: (number of the worker, action, request)."""

    def __init__(self):
        super().__init__()
        self.workers, self.requests, self.impatient_with = [], [], None

    def start_worker(self):
        worker = super().start_worker()
        number, ask = len(self.workers), worker.ask

        def noted(action, **request):
            self.requests.append((number, action, dict(request)))
            if number == self.impatient_with:
                request["timeout"] = 0.2
            return ask(action, **request)

        worker.ask = noted
        self.workers.append(worker)
        return worker

    @property
    def order(self):
        """Which workers measured, in which order, after each had told how long a run takes."""
        measured = [number for number, action, _ in self.requests if action == "measure"]
        return measured[len(self.workers) :]


@pytest.fixture(scope="module")
def three(files):
    return [candidate(files[name]) for name in ("vgg.onnx", "falcon.onnx", "vgg.tflite")]


@pytest.fixture(scope="module")
def golden(tmp_path_factory, files):
    """Golden vectors of a file, as the runtime itself answers; `spoil` changes its outputs before they are written."""

    def golden(name, spoil=lambda output: output):
        folder = tmp_path_factory.mktemp("golden")
        vectors = []
        for index, value in enumerate(samples((3, 24, 24), 4)):
            vector = GoldenVector(folder / f"{index}.input.bin", folder / f"{index}.output.bin")
            value.astype("<f4").tofile(vector.input)
            spoil(directly(files[name], value[None])[0]).tofile(vector.output)
            vectors.append(vector)
        return tuple(vectors)

    return golden


@pytest.fixture(scope="module")
def pixels(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    np.save(path, images)
    return path


@pytest.fixture(scope="module")
def measured(three):
    """Three models measured once: the device, the results, and what progress said."""
    device, told = Watched(), []
    results = bench(three, device, quick(), progress=lambda *step: told.append(step))
    return device, results, told


# -- timing --


def test_every_model_is_measured_in_every_round_and_every_sample_is_kept(three, measured):
    device, results, _ = measured
    assert [entry.model.name for entry in results.entries] == ["vgg", "falcon", "vgg"]
    for number, entry in enumerate(results.entries):
        assert entry.failure is None
        assert [(burst.process, burst.round) for burst in entry.bursts] == [(0, round_) for round_ in range(4)]
        assert [len(burst.samples_ns) for burst in entry.bursts] == [3] * 4
        assert min(sample for burst in entry.bursts for sample in burst.samples_ns) > 0
        assert entry.summary == summarise(entry.bursts)
        assert entry.summary.count == 12
        assert entry.load_ns > 0
        assert entry.first_inference_ns > 0
        assert 0 < entry.memory.bare < entry.memory.before_load <= entry.memory.after_load <= entry.memory.peak
        assert entry.model.bytes == three[number].path.stat().st_size
    assert not results.interrupted
    assert results.options["runs"] == 12
    assert results.options["device"] == "local"
    assert [sorted(device.order[start : start + 3]) for start in range(0, 12, 3)] == [[0, 1, 2]] * 4


def test_the_order_in_a_round_is_shuffled_by_the_seed(three, measured):
    def order(seed):
        device = Watched()
        bench(three, device, quick(seed=seed))
        return device.order

    first = measured[0].order
    assert len({tuple(first[start : start + 3]) for start in range(0, 12, 3)}) > 1
    assert order(0) == first
    assert order(1) != first


def test_progress_goes_from_the_first_to_the_last_step(measured):
    told = measured[2]
    assert [step[0] for step in told] == list(range(3 * 6 + 1))
    assert {step[1] for step in told} == {18}
    assert [text for _, _, text in told][::3] == [
        "loading vgg (onnxruntime)",
        *(f"measuring, round {number} of 4" for number in range(1, 5)),
        "checking vgg (onnxruntime)",
        "measured",
    ]


def test_no_worker_is_left(measured):
    workers = measured[0].workers
    assert len(workers) == 3
    assert all(worker._process.poll() == 0 for worker in workers)


def test_runs_are_added_until_they_fill_the_seconds(files):
    entry = bench([candidate(files["vgg.onnx"])], LocalDevice(), quick(runs=1, rounds=2, seconds=0.2)).entries[0]
    assert entry.summary.count > 10
    assert len(entry.bursts) == 2


def test_protocol_reaches_the_workers(files):
    device = Watched()
    cpu = min(os.sched_getaffinity(0))
    protocol = quick(
        threads=(2,), cpus=(cpu,), memory_limit=8 << 30, timeout=77.0, warm_up_runs=3, warm_up_seconds=0.01
    )
    results = bench([candidate(files["vgg.tflite"])], device, protocol)
    entry = results.entries[0]
    assert entry.failure is None
    assert entry.runtime.threads == 2
    assert entry.cpus == (cpu,)
    requests = {action: request for _, action, request in reversed(device.requests)}
    assert (requests["load"]["threads"], requests["load"]["memory_limit"]) == (2, 8 << 30)
    assert (requests["warm_up"]["runs"], requests["warm_up"]["seconds"]) == (3, 0.01)
    assert {request["timeout"] for _, _, request in device.requests} == {77.0}


def test_workers_run_where_they_were_put(files):
    cpu = max(os.sched_getaffinity(0))
    device = Watched()
    found = []

    def progress(done, total, text):
        if text.startswith("measuring"):
            found.append(os.sched_getaffinity(device.workers[0].pid))

    bench([candidate(files["vgg.onnx"])], device, quick(cpus=(cpu,)), progress=progress)
    assert found == [{cpu}] * 4


def test_every_process_of_a_model_is_a_fresh_one(files):
    device = Watched()
    (entry,) = bench([candidate(files["vgg.onnx"])], device, quick(processes=3, rounds=2)).entries
    assert [(burst.process, burst.round) for burst in entry.bursts] == [(p, r) for p in range(3) for r in range(2)]
    assert [len(burst.samples_ns) for burst in entry.bursts] == [2] * 6
    assert len({worker.pid for worker in device.workers}) == 3
    low, high = entry.intervals.p50_ns
    assert low <= entry.summary.p50_ns <= high


def test_several_numbers_of_threads_are_measured_in_one_run(files):
    results = bench([candidate(files["vgg.onnx"])], LocalDevice(), quick(threads=(1, 2)))
    assert [entry.runtime.threads for entry in results.entries] == [1, 2]
    usable = sorted(os.sched_getaffinity(0))
    assert [len(entry.cpus) for entry in results.entries] == [1, min(2, len(usable))]


def test_without_cpus_threads_go_anywhere_and_the_entry_says_so(files):
    (entry,) = bench([candidate(files["vgg.onnx"])], LocalDevice(), quick(cpus=None)).entries
    assert entry.cpus == tuple(sorted(os.sched_getaffinity(0)))
    assert "unpinned" in {flag.flag for flag in entry.flags}


def test_what_earlier_results_have_in_whole_is_taken_over(files, golden):
    one, other = candidate(files["vgg.onnx"]), candidate(files["vgg.tflite"])
    earlier = bench([one], LocalDevice(), quick())
    device, said = Watched(), []
    results = bench([one, other], device, quick(), earlier=earlier, notice=said.append)
    assert [action for number, action, _ in device.requests if number == 0] == ["load"]  # what runs it now
    assert len(device.workers) == 2
    assert results.entries[0] == earlier.entries[0]
    assert results.entries[1].summary.count == 12
    assert said == []


def other_runtime(entry):
    return {"runtime": entry.runtime.model_copy(update={"version": "0.1"})}


@pytest.mark.parametrize(
    ("protocol", "change", "says"),
    [
        ({"runs": 13}, None, ["protocol (runs)"]),
        ({"seconds": 0.1, "warm_up_runs": 2}, None, ["protocol (seconds, warm_up_runs)"]),
        ({"threads": (2,)}, None, []),
        ({}, lambda entry: {"failure": Failure(kind="signal", message="killed")}, ["do not have all of it"]),
        ({}, other_runtime, ["runtime (0.1)"]),
        ({}, lambda entry: {"cpus": (77,)}, ["CPUs"]),
    ],
)
def test_what_was_measured_otherwise_is_measured_anew_and_it_says_why(files, protocol, change, says):
    one = candidate(files["vgg.onnx"])
    earlier = bench([one], LocalDevice(), quick())
    if change is not None:
        (entry,) = earlier.entries
        earlier = earlier.model_copy(update={"entries": (entry.model_copy(update=change(entry)),)})
    said = []
    results = bench([one], LocalDevice(), quick(**protocol), earlier=earlier, notice=said.append)
    assert results.entries[0].bursts != earlier.entries[0].bursts
    assert results.entries[0].failure is None
    assert len(said) == len(says)
    assert all(part in line and "measured anew" in line for part, line in zip(says, said, strict=True))


def test_earlier_results_without_golden_vectors_or_with_other_images(files, golden, images, pixels):
    one, said = candidate(files["vgg.onnx"]), []
    earlier = bench([one], LocalDevice(), quick())
    checked = replace(one, golden=golden("vgg.onnx"), tolerances=(Tolerance(rtol=1e-4),))
    assert bench([checked], LocalDevice(), quick(), earlier=earlier, notice=said.append).entries[0].agreement
    labels = np.zeros(len(images), int)
    with_images = replace(one, evaluation=by_top1("images", pixels, labels, MEAN, STD))
    whole = bench([with_images], LocalDevice(), quick())
    others = replace(with_images, evaluation=by_top1("others", pixels, labels, MEAN, STD))
    assert (
        bench([others], LocalDevice(), quick(), earlier=whole, notice=said.append).entries[0].quality[0].data
        == "others"
    )
    assert ["all of it" in said[0], "data set" in said[1], len(said)] == [True, True, 2]


@pytest.mark.parametrize("part", ["cpu", "device"])
def test_earlier_results_of_another_machine(files, part):
    one, said = candidate(files["vgg.onnx"]), []
    earlier = bench([one], LocalDevice(), quick())
    if part == "cpu":
        other = earlier.model_copy(update={"before": earlier.before.model_copy(update={"cpu": "another"})})
    else:
        other = earlier.model_copy(update={"options": earlier.options | {"device": "ssh://board"}})
    results = bench([one], LocalDevice(), quick(), earlier=other, notice=said.append)
    assert results.entries[0].bursts != earlier.entries[0].bursts
    assert len(said) == 1
    assert "measured anew" in said[0]


# -- what is measured is what is named --


@pytest.mark.parametrize("change", ["replaced", "written over", "removed"])
def test_a_file_that_is_changed_meanwhile_costs_its_entry_and_samples_are_of_one_model(tmp_path, files, change):
    path = tmp_path / "model.onnx"
    shutil.copy(files["vgg.onnx"], path)
    hashed = hashlib.sha256(path.read_bytes()).hexdigest()

    def disturb(done, total, text):
        if "round 2 of" in text and path.exists() and path.stat().st_size == files["vgg.onnx"].stat().st_size:
            if change == "removed":
                path.unlink()
            elif change == "replaced":
                shutil.copy(files["resnet.onnx"], tmp_path / "other")
                (tmp_path / "other").replace(path)
            else:
                shutil.copy(files["resnet.onnx"], path)

    device = Watched()
    both = [candidate(path), candidate(files["falcon.onnx"])]
    changed, other = bench(both, device, quick(processes=3), progress=disturb).entries
    assert (changed.model.sha256, changed.model.file) == (hashed, "model.onnx")
    assert changed.failure.message == f"{path}: changed while it was measured; measure it again"
    assert other.failure is None
    loaded = {request["path"] for _, action, request in device.requests if action == "load"}
    assert not any(name.startswith(str(tmp_path)) for name in loaded)  # nobody else knows of what they loaded


# -- answers --


@pytest.mark.parametrize("name", ["vgg.onnx", "falcon.tflite"])
def test_golden_vectors_agree(files, golden, name):
    file = candidate(files[name], golden=golden(name), tolerances=(Tolerance(rtol=1e-5, classes=True),))
    with closing(Watched()) as device:
        entry = bench([file], device, quick()).entries[0]
    assert entry.failure is None
    outputs = [path for _, action, request in device.requests if action == "replay" for path in request["outputs"]]
    assert len(outputs) == 4
    assert not any(map(os.path.exists, (*outputs, os.path.dirname(outputs[0]))))
    assert [each.model_dump() for each in entry.agreement] == [{
        "output": None, "vectors": 4, "max_abs": 0.0, "max_relative": 0.0, "snr_db": None, "classes_equal": 4,
        "within_tolerance": True,
    }]  # fmt: skip


def test_wrong_outputs_fail_their_model_and_keep_its_samples(tmp_path, files, golden):
    planted = [
        (
            lambda output: output * np.float32(1.01),
            Tolerance(rtol=1e-3, classes=True),
            "of the largest off the golden ones; 4 of 4",
        ),
        (lambda output: -output, Tolerance(classes=True), "of the largest off the golden ones; 0 of 4"),
        (lambda output: 0 * output, Tolerance(rtol=1.0, classes=False), "off the golden ones"),
        (lambda output: output[:-1], Tolerance(rtol=1.0, classes=False), "cannot be compared"),
        (lambda output: output * np.float32(np.nan), Tolerance(rtol=1.0, classes=False), "cannot be compared"),
    ]
    wrong = [
        candidate(files["vgg.onnx"], golden=golden("vgg.onnx", spoil), tolerances=(tolerance,))
        for spoil, tolerance, _ in planted
    ]
    results = bench([*wrong, candidate(files["falcon.onnx"])], LocalDevice(), quick())
    *failed, other = results.entries
    for entry, (_, _, said) in zip(failed, planted, strict=True):
        assert entry.failure.kind == "wrong-outputs"
        assert said in entry.failure.message
        assert not entry.agreement[0].within_tolerance
        assert entry.summary.count == 12
    assert other.failure is None
    path = tmp_path / "results.json"
    save(results, path)
    assert load_results(path).entries == results.entries


@pytest.mark.parametrize("name", ["vgg.onnx", "vgg.tflite"])
def test_accuracy_is_that_of_the_runtime_itself(files, images, pixels, name):
    assert len(images) > IMAGES_PER_REQUEST  # so that they are asked for in pieces
    expected = directly(files[name], normalise(images, InputSpec(shape=(3, 24, 24), mean=MEAN, std=STD))).argmax(1)
    labels = expected.copy()
    labels[::3] = (labels[::3] + 1) % 5
    evaluation = by_top1("data", pixels, labels, MEAN, STD)
    (found,) = bench([candidate(files[name], evaluation=evaluation)], LocalDevice(), quick()).entries[0].quality
    correct = len(images) - len(labels[::3])
    assert (found.metric, found.data, found.samples) == ("top1", "data", len(images))
    assert found.value == correct / len(images)
    # Wilson, Probable inference (1927), at 95%.
    z, n, p = 1.959963984540054, len(images), correct / len(images)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert found.interval == pytest.approx((middle - half, middle + half), rel=1e-9)


class Away:
    """A device like this machine, which is not this machine."""

    def __init__(self):
        self.here = Watched()

    def __getattr__(self, name):
        return getattr(self.here, name)


@pytest.mark.parametrize(
    ("device", "exact", "reduction"), [(Away, False, "half"), (Away, True, "none"), (Watched, False, "none")]
)
def test_large_outputs_are_halved_on_the_way_from_a_device(
    monkeypatch, files, pixels, images, device, exact, reduction
):
    monkeypatch.setattr("runtime_bench.measurement.LARGE", 4)
    expected = directly(files["vgg.tflite"], normalise(images, InputSpec(shape=(3, 24, 24), mean=MEAN, std=STD)))
    labels, seen = expected.argmax(1), []
    judged = by_top1("data", pixels, labels, MEAN, STD)
    evaluation = replace(
        judged, only_classes=False, exact=exact, score=lambda answers: seen.append(answers[0]) or judged.score(answers)
    )
    with closing(device()) as chosen:
        (entry,) = bench([candidate(files["vgg.tflite"], evaluation=evaluation)], chosen, quick()).entries
    asked = {request["reduction"] for _, action, request in chosen.requests if action == "evaluate"}
    assert (entry.failure, asked) == (None, {reduction})
    assert np.array_equal(seen[0], expected.astype(np.float16) if reduction == "half" else expected)


@pytest.mark.parametrize(("piece", "lines"), [(7, 10), (100, 3)])
def test_accuracy_says_how_far_it_is_ten_times_at_most(monkeypatch, files, pixels, piece, lines):
    monkeypatch.setattr("runtime_bench.measurement.IMAGES_PER_REQUEST", piece)
    evaluation, told = by_top1("data", pixels, np.zeros(230, int), MEAN, STD), []
    subject = candidate(files["vgg.onnx"], evaluation=evaluation)
    bench([subject], LocalDevice(), quick(), progress=lambda *step: told.append(step))
    said = [(done, text) for done, _, text in told if text.startswith("answers")]
    assert len(said) == lines
    assert said[-1] == (5, "answers of vgg: 230 of 230 images")
    assert said[0][1] in ("answers of vgg: 28 of 230 images", "answers of vgg: 100 of 230 images")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


# -- failures --


def test_a_broken_file_costs_only_its_own_entry(tmp_path, files):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(files["vgg.tflite"].read_bytes()[:2000])
    failed, other = bench([candidate(broken), candidate(files["vgg.tflite"])], LocalDevice(), quick()).entries
    assert failed.failure.kind in ("runtime", "signal")
    assert (failed.runtime, failed.bursts, failed.summary, failed.flags) == (None, (), None, ())
    assert other.failure is None
    assert other.summary.count == 12


def test_a_worker_that_dies_on_the_way_costs_only_its_own_entry(three):
    device = Watched()

    def progress(done, total, text):
        if text == "measuring, round 3 of 4" and device.workers[1]._process.poll() is None:
            os.kill(device.workers[1].pid, signal.SIGKILL)
            device.workers[1]._process.wait()

    one, dead, other = bench(three, device, quick(), progress=progress).entries
    assert (dead.failure.kind, dead.failure.signal) == ("signal", "SIGKILL")
    assert [burst.round for burst in dead.bursts] == [0, 1]
    assert "too-few-samples" in [flag.flag for flag in dead.flags]
    assert [entry.summary.count for entry in (one, other)] == [12, 12]
    assert one.failure is other.failure is None


def test_a_slow_worker_is_ended_and_costs_only_its_own_entry(three):
    device = Watched()

    def progress(done, total, text):
        if text == "measuring, round 2 of 4":
            os.kill(device.workers[0].pid, signal.SIGSTOP)
            device.impatient_with = 0

    slow, one, other = bench(three, device, quick(), progress=progress).entries
    assert slow.failure.kind == "timeout"
    assert one.failure is other.failure is None


def test_a_device_without_a_python_is_an_entry(files):
    device = LocalDevice(("/no/python",))
    entry = bench([candidate(files["vgg.onnx"])], device, quick()).entries[0]
    assert (entry.failure.kind, entry.summary) == ("start", None)


def test_a_memory_limit_is_an_entry(files):
    entry = bench([candidate(files["vgg.onnx"])], LocalDevice(), quick(memory_limit=20 << 20)).entries[0]
    assert entry.failure.kind in ("memory", "runtime")
    assert len(entry.failure.message.splitlines()) == 1


def test_ctrl_c_keeps_what_was_measured(tmp_path, files):
    """As a terminal sends it: to the whole process group, from which the workers stand apart."""
    output = tmp_path / "results.json"
    script = f"""
from pathlib import Path
from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.local import LocalDevice
from runtime_bench.results import save

paths = [Path({str(files["vgg.onnx"])!r}), Path({str(files["falcon.onnx"])!r})]
candidates = [Candidate(path, "onnxruntime", path.stem, "onnx", "fp32") for path in paths]
protocol = Protocol(runs=400_000, seconds=0, processes=1, rounds=100_000, warm_up_runs=1, warm_up_seconds=0, every=0)
results = bench(candidates, LocalDevice(), protocol, progress=lambda done, total, text: print(text, flush=True))
save(results, Path({str(output)!r}))
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        for line in process.stdout:
            if line.startswith("measuring, round 3"):
                os.killpg(process.pid, signal.SIGINT)
                break
        process.stdout.read()
        assert process.wait(60) == 0
    results = load_results(output)
    assert results.interrupted
    for entry in results.entries:
        assert entry.failure is None
        assert 2 <= len(entry.bursts) < 100_000
        assert "too-few-samples" in [flag.flag for flag in entry.flags]
    lengths = [len(entry.bursts) for entry in results.entries]
    assert all(abs(one - other) <= 1 for one, other in pairwise(lengths))


# -- bad input --


def test_nothing_to_measure():
    with pytest.raises(BenchInputError, match="nothing to measure"):
        bench([], LocalDevice(), quick())


@pytest.mark.parametrize(
    "options",
    [
        {"threads": ()},
        {"threads": (0,)},
        {"threads": (1, 1)},
        {"processes": 0},
        {"runs": 0},
        {"rounds": 0},
        {"seconds": -1.0},
        {"seconds": math.inf},
        {"seconds": math.nan},
        {"warm_up_runs": -1},
        {"warm_up_seconds": math.nan},
        {"timeout": 0.0},
        {"timeout": math.inf},
        {"memory_limit": 0},
        {"cpus": ()},
        {"cpus": (0, 0)},
        {"cpus": (-1,)},
    ],
)
def test_protocols_without_a_meaning(options):
    with pytest.raises(BenchInputError) as caught:
        Protocol(**options)
    assert len(str(caught.value).splitlines()) == 1


def test_cpus_that_the_machine_does_not_have(files):
    count = os.cpu_count()
    with pytest.raises(BenchInputError, match=f"there is no CPU {count}; local has CPUs 0 to {count - 1}"):
        bench([candidate(files["vgg.onnx"])], LocalDevice(), quick(cpus=(0, count)))


def test_files_that_are_missing_are_said_before_anything_is_measured(tmp_path, files, golden, pixels):
    device = Watched()
    (tmp_path / "empty.npy").touch()
    np.save(tmp_path / "floats.npy", np.zeros((230, 24, 24, 3)))
    missing = golden("vgg.onnx")
    missing[2].output.unlink()
    labels = np.zeros(230, int)
    for options, said in (
        ({"golden": missing, "tolerances": (Tolerance(),)}, "2.output.bin: there is no such golden vector"),
        ({"evaluation": by_top1("data", tmp_path / "none.npy", labels, MEAN, STD)}, "none.npy: not a .npy file"),
        ({"evaluation": by_top1("data", tmp_path / "empty.npy", labels, MEAN, STD)}, "empty.npy: not a .npy file"),
        ({"evaluation": by_top1("data", tmp_path / "floats.npy", labels, MEAN, STD)}, "float64"),
        ({"evaluation": by_top1("data", pixels, labels[:7], MEAN, STD)}, "not 7 images"),
    ):
        with pytest.raises(BenchInputError, match=said):
            bench([candidate(files["vgg.onnx"], **options)], device, quick())
    with pytest.raises(BenchInputError, match=r"none\.onnx: cannot be read"):
        bench([candidate(tmp_path / "none.onnx")], device, quick())
    assert device.workers == []


def test_results_are_plain_json(files, tmp_path):
    save(bench([candidate(files["vgg.onnx"])], LocalDevice(), quick(cpus=(0,))), tmp_path / "results.json")
    document = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert document["options"]["cpus"] == [0]
    assert document["entries"][0]["model"]["file"] == "vgg.onnx"


# -- devices that saturate --


@pytest.fixture
def with_twin(files, golden):
    """A candidate whose golden outputs are those of another file, which stands for its twin."""
    exact = {"golden": golden("falcon.onnx"), "tolerances": (Tolerance(rtol=1e-4),)}
    return candidate(files["vgg.onnx"], twin=files["falcon.onnx"], **exact)


def probe(files, golden, *, exact):
    vectors = golden("vgg.onnx") if exact else golden("vgg.onnx", lambda output: output + 1)
    return candidate(files["vgg.onnx"], golden=vectors, tolerances=(Tolerance(rtol=1e-4),))


def test_where_the_probe_is_missed_the_twin_is_checked_and_the_entry_says_so(files, golden, with_twin):
    device = Watched()
    results = bench([with_twin], device, quick(), probe=probe(files, golden, exact=False))
    (entry,) = results.entries
    assert entry.failure is None
    assert entry.agreement[0].within_tolerance
    assert [flag.flag for flag in entry.flags][-1] == "saturating-host"
    assert [request["signed"] for _, action, request in device.requests if action == "load"] == [False, False, True]
    assert entry.summary.count == 12


def test_where_the_probe_is_answered_the_file_itself_is_checked(files, golden, with_twin):
    (entry,) = bench([with_twin], LocalDevice(), quick(), probe=probe(files, golden, exact=True)).entries
    assert entry.failure.kind == "wrong-outputs"
    assert "saturating-host" not in {flag.flag for flag in entry.flags}


def test_a_probe_is_run_only_where_a_file_has_a_twin(files, golden, three):
    device = Watched()
    bench(three[:1], device, quick(), probe=probe(files, golden, exact=False))
    assert len(device.workers) == 1


def test_a_device_that_cannot_run_the_probe_is_not_accused(files, golden, with_twin, tmp_path):
    broken = tmp_path / "probe.onnx"
    broken.write_bytes(b"no model")
    vectors = golden("vgg.onnx")
    (entry,) = bench(
        [with_twin], LocalDevice(), quick(), probe=candidate(broken, golden=vectors, tolerances=(Tolerance(rtol=1e-4),))
    ).entries
    assert "saturating-host" not in {flag.flag for flag in entry.flags}


@pytest.mark.parametrize(("rounded", "agrees"), [("falcon.onnx", True), ("vgg.onnx", False)])
def test_golden_outputs_of_a_device_that_rounds_otherwise_are_those_of_the_twin_that_rounds_so(
    files, golden, rounded, agrees
):
    given = {"golden": golden("vgg.onnx"), "tolerances": (Tolerance(rtol=1e-4),), "rounded": files[rounded]}
    (entry,) = bench([candidate(files["falcon.onnx"], **given)], LocalDevice(), quick()).entries
    assert entry.agreement[0].within_tolerance == agrees
    assert (entry.failure is None) == agrees
