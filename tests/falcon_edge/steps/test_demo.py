"""demo where not everything works: it says so, and keeps what it has. What it does when all works is in tests/e2e."""

import pytest
from typer.testing import CliRunner

from falcon_edge.cli.main import app
from falcon_edge.steps.bench import bench
from runtime_bench.bench import Protocol
from runtime_bench.devices.local import LocalDevice

pytestmark = pytest.mark.xdist_group("exported")  # one process makes the exported bundles
QUICK = Protocol(runs=2, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0)


class WithoutLiteRT(LocalDevice):
    def lacks(self, runtime):
        return "there is no LiteRT" if runtime == "litert" else super().lacks(runtime)


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
        return bench(exported, QUICK, device=WithoutLiteRT()).model_copy(update={"interrupted": interrupted})

    monkeypatch.setattr("falcon_edge.steps.demo.demo", measured)
    done = CliRunner().invoke(app, ["demo", "-o", str(tmp_path)])
    assert done.exit_code == code
    assert done.stderr.splitlines()[-1] == said
    assert "onnx fp32" in done.stdout
    assert "failed: compressed, model.fp32.tflite: there is no LiteRT" in done.stdout
