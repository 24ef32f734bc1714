"""demo where not everything works: it says so, and keeps what it has. What it does when all works is in tests/e2e."""

import os
import shutil

import pytest
from typer.testing import CliRunner

from falcon_edge.bundle import edit_bundle, open_bundle
from falcon_edge.cli.main import app
from falcon_edge.errors import BadInput
from falcon_edge.place import locked
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.demo import demo
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.shipped import copy_sample_network
from runtime_bench.bench import Protocol
from runtime_bench.devices.local import LocalDevice

QUICK = Protocol(runs=2, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)


class WithoutLiteRT(LocalDevice):
    def lacks(self, runtime):
        return "there is no LiteRT" if runtime == "litert" else super().lacks(runtime)


@pytest.mark.parametrize("name", ["standard", "small"])
def test_bundles_of_others_are_not_replaced(exported, tmp_path, name):
    """The README's commands give users' bundles the same names."""
    shutil.copytree(exported[0], tmp_path / f"{name}.falcon")
    before = open_bundle(tmp_path / f"{name}.falcon").manifest
    with pytest.raises(BadInput, match=rf"{name}\.falcon: exists and is not of a demo; choose another folder"):
        demo(tmp_path)
    assert open_bundle(tmp_path / f"{name}.falcon").manifest == before
    assert os.listdir(tmp_path) == [f"{name}.falcon"]


def test_bundles_of_an_earlier_demo_are(tmp_path):
    standard = copy_sample_network(tmp_path / "standard")
    compress_bundle(Choice(str(standard)), tmp_path / "small", rank=1)
    with edit_bundle(standard) as draft:
        draft.write("exports/model.fp32.onnx", b"of the earlier one")

    class Stopped(Exception):
        pass

    def stop(done, total, text):
        raise Stopped

    with pytest.raises(Stopped):
        demo(tmp_path, progress=stop)
    assert not (standard / "exports").exists()
    assert open_bundle(standard).manifest.name == "standard"
    assert open_bundle(tmp_path / "small.falcon").manifest.lineage.steps[-1].options["rank"] == 1


def test_two_demos_in_one_folder_are_refused(tmp_path):
    with locked(tmp_path / "results.json"), pytest.raises(BadInput, match="is writing it"):
        demo(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("interrupted", "code", "said"),
    [
        (False, 4, "error: standard, model.fp32.tflite: there is no LiteRT (and 1 more)"),
        (True, 130, "interrupted"),
    ],
)
def test_what_failed_decides_the_exit_code(exported, monkeypatch, tmp_path, interrupted, code, said):
    """The measurement of a demo alone: the rest of it takes minutes."""

    def measured(folder, *, device, progress):
        return bench(exported, BenchRequest(QUICK), device=WithoutLiteRT()).model_copy(
            update={"interrupted": interrupted}
        )

    monkeypatch.setattr("falcon_edge.steps.demo.demo", measured)
    done = CliRunner().invoke(app, ["demo", "-o", str(tmp_path)])
    assert done.exit_code == code
    assert done.stderr.splitlines()[-1] == said
    assert "onnx fp32" in done.stdout
    assert "failed: compressed, model.fp32.tflite: there is no LiteRT" in done.stdout
