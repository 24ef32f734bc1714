"""A measurement on an emulated CPU: what is in the results, what is not, and that wrong answers fail."""

import contextlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
from arm64 import emulated, userland
from judged import by_top1
from small_networks import samples

from runtime_bench.bench import Candidate, Protocol, bench
from runtime_bench.devices.arm64.cpus import DEFAULT
from runtime_bench.devices.arm64.device import EmulatedArm64
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import BenchInputError
from runtime_bench.golden import GoldenVector, Tolerance
from runtime_bench.results import load, save
from runtime_bench.runtimes import runtime_for

pytestmark = pytest.mark.xdist_group("arm64 bench")  # one process of xdist measures
QUICK = Protocol(runs=2, processes=1, seconds=0, rounds=1, warm_up_runs=1, warm_up_seconds=0, every=0)
MACS = 1_000_000


def candidate(path, **options):
    return Candidate(path, runtime_for(path.suffix).name, path.stem, path.suffix[1:], "fp32", macs=MACS, **options)


class Mistaken(EmulatedArm64):
    """Runs another file than it was given."""

    def __init__(self, other):
        super().__init__(DEFAULT, userland())
        self.other = other

    def push(self, path):
        return super().push(self.other if path.suffix == self.other.suffix else path)


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    np.save(path, images[:25])
    return by_top1("images", path, np.arange(25) % 5, (0.4, 0.5, 0.3), (0.2, 0.25, 0.3))


@pytest.fixture(scope="module")
def golden(tmp_path_factory, files):
    """Two golden vectors of vgg.onnx, as this host answers."""
    from converters.runtimes import run_onnx

    folder = tmp_path_factory.mktemp("golden")
    vectors = []
    for index, value in enumerate(samples((3, 24, 24), 2)):
        vector = GoldenVector(folder / f"{index}.input.bin", folder / f"{index}.output.bin")
        value.astype("<f4").tofile(vector.input)
        run_onnx(files["vgg.onnx"], value[None])[0].tofile(vector.output)
        vectors.append(vector)
    return tuple(vectors)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Where the emulated measurement keeps what it needs for a while."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def measured(files, golden, evaluation, scratch):
    """vgg.onnx with golden vectors and images, vgg.tflite with nothing; and both natively."""
    known = candidate(files["vgg.onnx"], golden=golden, tolerances=(Tolerance(rtol=1e-4),), evaluation=evaluation)
    candidates = [known, candidate(files["vgg.tflite"])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(scratch))
        with contextlib.closing(emulated()) as device:
            there = bench(candidates, device, Protocol())
    return there, bench(candidates, LocalDevice(), QUICK)


def test_nothing_emulated_is_a_latency(measured):
    there, _ = measured
    for entry in there.entries:
        assert entry.failure is None
        assert (entry.emulated, entry.device) == (True, "arm64:cortex-a72")
        assert (entry.bursts, entry.summary, entry.intervals) == ((), None, None)
        assert (entry.load_ns, entry.first_inference_ns, entry.energy_j) == (None, None, None)
        assert entry.flags == ()
    assert "seconds" not in there.options
    assert (there.options["runs"], there.options["threads"]) == (3, (1,))  # what was done, not what is asked of times


def test_answers_are_those_of_this_host(measured):
    there, here = (results.entries[0] for results in measured)
    assert there.agreement[0].within_tolerance
    assert there.agreement[0].max_relative < 1e-5
    assert there.quality == here.quality
    assert there.quality[0].samples == 25


def test_one_inference_is_counted(measured):
    """vgg: 8 * 3 * 9 * 576 + 12 * 8 * 9 * 144 + 16 * 12 * 9 * 36 + 144 * 20 + 20 * 5 MACs, in lanes of four."""
    macs = 8 * 27 * 576 + 12 * 72 * 144 + 16 * 108 * 36 + 2880 + 100
    for entry in measured[0].entries:
        counts = entry.counts
        assert counts.cpu == "cortex-a72"
        assert macs <= sum(counts.macs.values()) < 1.25 * macs
        assert {name for name, number in counts.macs.items() if number} == {"fmla"}
        assert sum(counts.classes.values()) == counts.instructions
        assert counts.loads == counts.classes["load"] + counts.classes["vector_load"]
        assert 0 < counts.l2_misses < counts.l1_misses < counts.loads
        assert counts.l1_misses < counts.l1_misses_emptied < counts.loads
        assert entry.model.bytes / 2 < 64 * counts.l2_misses_emptied  # most of the file is weights
        assert counts.bytes_loaded > 4 * counts.loads


def test_cycles_are_an_interval_of_a_named_model(measured):
    """Between four instructions at once and one at a time, as this core does them."""
    for entry in measured[0].entries:
        low, high = entry.counts.cycles
        assert entry.counts.instructions / 4 < low < entry.counts.instructions
        assert high > low + 16 * (entry.counts.l1_misses - entry.counts.l2_misses)
        assert entry.counts.cycle_model.startswith("LLVM ")
        assert entry.counts.cycle_model.endswith(" cortex-a72")


@pytest.mark.parametrize(("cpu", "flags"), [("cortex-a53", []), ("cortex-a76", ["no-cycles"])])
def test_without_a_model_of_the_core_there_are_no_cycles(files, monkeypatch, cpu, flags):
    """Of the A53 there is none to trust; of the others LLVM has one, where it is installed."""
    lacking = ("llvm-mca: missing", "apt-get install llvm")
    monkeypatch.setattr("runtime_bench.devices.arm64.device.missing_llvm", lambda: lacking)
    (entry,) = bench([candidate(files["vgg.tflite"])], emulated(cpu), QUICK).entries
    assert entry.counts.instructions > 0
    assert (entry.counts.cycles, entry.counts.cycle_model) == (None, None)
    assert [flag.flag for flag in entry.flags] == flags


def test_memory_is_that_of_an_arm64_process(measured):
    for there, here in zip(*(results.entries for results in measured), strict=True):
        assert 0.5 * here.memory.after_load < there.memory.after_load < 1.5 * here.memory.after_load
        assert there.memory.peak is None


def test_results_can_be_written_and_read(measured, tmp_path):
    save(measured[0], tmp_path / "results.json")
    assert load(tmp_path / "results.json").entries == measured[0].entries


def test_nothing_is_left_behind(measured, scratch):
    assert list(scratch.iterdir()) == []


def test_what_was_counted_is_taken_over(measured, files):
    again = bench([candidate(files["vgg.tflite"])], emulated(), QUICK, earlier=measured[0])
    assert again.entries == measured[0].entries[1:]


def test_outputs_that_differ_from_this_hosts_fail(files):
    entry = bench([candidate(files["vgg.tflite"])], Mistaken(files["falcon.tflite"]), QUICK).entries[0]
    assert entry.failure.kind == "wrong-outputs"
    assert "of the largest off those of this host" in entry.failure.message
    assert entry.counts is None


def test_classes_that_differ_from_this_hosts_fail(files, golden, evaluation, tmp_path):
    """Its outputs for the golden inputs are right, but not those for some of the images."""
    other = replace(evaluation, pixels=tmp_path / "mirrored.npy")
    np.save(other.pixels, np.load(evaluation.pixels)[::-1])
    device = Mistaken(other.pixels)
    known = candidate(files["vgg.onnx"], golden=golden, tolerances=(Tolerance(rtol=1e-4),), evaluation=evaluation)
    failure = bench([known], device, QUICK).entries[0].failure
    assert failure.kind == "wrong-outputs"
    assert "of 25 images have another class on this host, image " in failure.message


def test_a_file_that_no_runtime_loads_fails_alone(tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    entry = bench([candidate(path)], emulated(), QUICK).entries[0]
    assert entry.failure.kind in ("runtime", "signal")
    assert (entry.counts, entry.summary) == (None, None)


def test_one_thread_only(files):
    with pytest.raises(BenchInputError, match="arm64:cortex-a72 is emulated, with one thread: leave `threads` out"):
        bench([candidate(files["vgg.onnx"])], emulated(), replace(QUICK, threads=(1, 2)))


def test_without_plugins_answers_are_checked_and_the_result_says_that_nothing_was_counted(files, tmp_path):
    qemu = tmp_path / "qemu"
    qemu.write_text(f'#!/bin/sh\n[ "$1" = -h ] && exit\nexec {shutil.which("qemu-aarch64")} "$@"\n')
    qemu.chmod(0o700)
    entry = bench([candidate(files["vgg.tflite"])], emulated(qemu=str(qemu)), QUICK).entries[0]
    assert (entry.failure, entry.counts) == (None, None)
    assert [flag.flag for flag in entry.flags] == ["not-counted"]
    assert entry.memory.after_load > 0
