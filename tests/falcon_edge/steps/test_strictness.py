"""export where the two runtimes' int8 answers differ by more than int8 itself loses: a warning, or refused."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from converters.errors import ParityError
from converters.formats.tflite import Tflite
from converters.lending import owner
from falcon_edge.bundle import open_bundle
from falcon_edge.cli.main import app
from falcon_edge.notices import Notice
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8

NETWORK = """
class Ties(nn.Module):
    '''Sums of two pixels: half of them lie between two steps of the result, where ONNX Runtime rounds to the even step
    and XNNPACK away from zero. Both are half a step off, and one step from each other.'''

    def __init__(self):
        super().__init__()
        self.same = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.same.weight)

    def forward(self, x):
        return (self.same(x) + torch.cat([x[:, 1:], x[:, :1]], 1)).flatten(1)

def net():
    return Ties()
"""


@pytest.fixture
def ties(tmp_path, user_module):
    """(bundle, data) of a network whose runtimes differ by more than int8 loses."""
    user_module(NETWORK)
    random = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 64), ("val", 16), ("test", 16)):
        images = random.integers(0, 256, (count, 1, 1, 3)).astype(np.uint8)
        images[0], images[1] = 0, 255
        arrays |= {f"x_{split}": images, f"y_{split}": np.arange(count) % 3}
    np.savez(tmp_path / "pixels.npz", **arrays)
    pack_bundle(Choice("users_own:net", input_shape=(3, 1, 1)), tmp_path / "net")
    return tmp_path / "net.falcon", Int8(str(tmp_path / "pixels.npz"), accept_loss=True)


def test_the_operator_is_named_and_the_export_goes_on(ties):
    path, int8 = ties
    with pytest.warns(Notice) as said:
        export_bundle(path, ("onnx", "tflite"), ("int8",), int8=int8)
    onnx, tflite = open_bundle(path).manifest.exports
    assert onnx.warnings == ()
    (warning,) = tflite.warnings
    assert warning.startswith("model.int8.tflite differs from model.int8.onnx (SNR ")
    assert "/Add (Add): 1 step at most in " in warning
    assert tflite.parity[0].snr_db < onnx.loss[0].snr_db
    assert tflite.loss[0].snr_db == pytest.approx(onnx.loss[0].snr_db, abs=3)  # one is as right as the other
    assert warning in [str(each.message) for each in said]


DIFFERENCE = """
class Difference(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = nn.Conv2d(3, 16, 3, bias=False), nn.Conv2d(3, 16, 3, bias=False)
        with torch.no_grad():
            self.other.weight.copy_(self.one.weight + 1e-2 * self.other.weight)

    def forward(self, x):
        return (self.one(x) - self.other(x)).flatten(1)

def net():
    return Difference()
"""
DIVIDED = """
def net():
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 3)
    with torch.no_grad():
        first.weight[:4] *= 1e-8
        first.bias[:4] *= 1e-8
        second.weight[:, :4] *= 1e8
    return nn.Sequential(first, nn.ReLU(), second, nn.Flatten())
"""


def test_a_loss_of_float16_is_a_warning_and_refused_by_strict(tmp_path, user_module):
    user_module(DIFFERENCE)
    pack_bundle(Choice("users_own:net", input_shape=(3, 5, 5)), tmp_path / "net")
    path = tmp_path / "net.falcon"
    with pytest.raises(ParityError, match=r"model\.fp16\.tflite differs from model\.fp32\.onnx \(SNR .*float16 loses"):
        export_bundle(path, ("tflite",), ("fp16",), strict=True)
    with pytest.warns(Notice, match="float16 loses much"):
        export_bundle(path, ("tflite",), ("fp16",))
    (made,) = open_bundle(path).manifest.exports
    assert "float16 loses much" in made.warnings[0]
    assert made.loss[0].snr_db < 40
    assert made.parity[0].snr_db >= 90


def test_what_float16_cannot_hold_is_noted_and_loses_nothing(tmp_path, user_module):
    user_module(DIVIDED)
    pack_bundle(Choice("users_own:net", input_shape=(3, 5, 5)), tmp_path / "net")
    (made,) = export_bundle(tmp_path / "net.falcon", ("tflite",), ("fp16",), strict=True).exports
    assert set(made.notes) == {f"{each}.weight stays float32, for float16 cannot hold it" for each in (0, 2)}
    assert made.loss[0].snr_db >= 60


def test_strict_refuses_it_and_writes_nothing(ties):
    path, int8 = ties
    with pytest.raises(ParityError, match=r"net\.falcon: model\.int8\.tflite differs .* /Add \(Add\): 1 step"):
        export_bundle(path, ("onnx", "tflite"), ("int8",), int8=int8, strict=True)
    assert open_bundle(path).manifest.exports == ()


def test_the_command_line_says_it_and_strict_exits_with_1(ties):
    path, int8 = ties
    call = ["export", str(path), "--target", "tflite", "--precision", "int8", "--data", int8.data, "--accept-loss"]
    for option, code in (("--strict", 1), ("--json", 0)):
        result = CliRunner().invoke(app, [*call, option])
        assert result.exit_code == code
        assert "/Add (Add): 1 step at most" in result.stderr
    (made,) = json.loads(result.stdout)["exports"]
    assert "/Add (Add): 1 step at most" in made["warnings"][0]
    shown = CliRunner().invoke(app, ["inspect", str(path)])
    assert "warning: model.int8.tflite differs from model.int8.onnx" in shown.stdout


def test_a_file_that_no_operator_explains_is_refused_without_strict_too(standard, stripes, tmp_path, monkeypatch):
    path = tmp_path / "net.falcon"
    shutil.copytree(standard, path)
    write = Tflite.write

    def wrong(form, source, target):
        changed = copy.deepcopy(source.graph)
        weight = max(changed.graph.initializer, key=lambda each: len(each.dims))
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(owner(weight)) / 2, weight.name))
        return write(form, replace(source, graph=changed), target)

    monkeypatch.setattr(Tflite, "write", wrong)
    with pytest.raises(ParityError, match=r"model\.int8\.tflite differs from model\.int8\.onnx \(SNR \d\.\d dB\)"):
        export_bundle(path, ("tflite",), ("int8",), int8=Int8(str(stripes), samples=16))
    assert open_bundle(path).manifest.exports == ()
