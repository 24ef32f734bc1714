"""One file after the other in one worker."""

import pytest

from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import WorkerError
from runtime_bench.turns import OF_THE_FILE, Turn, Turns

QUICK = Turn(runs=4, seconds=0.0, cold=2)


@pytest.mark.parametrize(("suffix", "runtime"), [(".onnx", "onnxruntime"), (".tflite", "litert")])
def test_files_are_measured_in_both_ways(files, suffix, runtime):
    with Turns(LocalDevice(), runtime, QUICK) as turns:
        assert turns.load(files[f"vgg{suffix}"]).runtime.name == runtime
        for name in ("vgg", "resnet"):
            took = turns.take(files[f"{name}{suffix}"])
            assert 1000 < took.warm_ns < took.cold_ns * 2
            assert took.cycles is None


def test_cold_is_left_out_where_it_is_not_asked(files):
    with Turns(LocalDevice(), "litert", Turn(runs=2, seconds=0.0, cold=0)) as turns:
        assert turns.take(files["vgg.tflite"]).cold_ns is None


def test_a_file_that_is_none_costs_no_other(files, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"none")
    with Turns(LocalDevice(), "onnxruntime", QUICK) as turns:
        with pytest.raises(WorkerError) as caught:
            turns.take(broken)
        assert caught.value.kind in OF_THE_FILE
        assert turns.take(files["vgg.onnx"]).warm_ns > 1000
