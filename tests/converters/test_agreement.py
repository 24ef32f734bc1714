"""Which operator makes the two runtimes differ: each is given the same integers."""

import numpy as np
import pytest
import torch
from small_networks import resnet, samples, vgg
from torch import nn

from converters import onnx_graph
from converters.agreement import differences
from converters.onnx_export import export_onnx
from converters.quantization.qdq import write_qdq
from converters.quantization.quantize import quantize
from converters.runtimes import run_onnx, run_tflite
from converters.tflite.emit import emit_apart, emit_tflite
from converters.tflite.int8 import NoInt8Form


def quantized(network, shape, folder, inputs):
    """A network in int8, with what one of the runtimes has no kernel for in float."""
    path, kept = folder / "model.onnx", {}
    export_onnx(network, torch.zeros(1, *shape), path, simplify=False)
    model = onnx_graph.load(path)
    while True:
        made = quantize(model, inputs, kept=kept)
        try:
            emit_tflite(made.model, folder / "model.tflite", quantization=made.spec)
            return made
        except NoInt8Form as error:
            kept |= error.nodes


class Moved(nn.Module):
    """Every layout there is: channels shuffled, gathered and joined, maps as rows and back, a branch in float."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.side, self.last = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(4, 4, 1), nn.Linear(8 * 49, 5)

    def forward(self, x):
        y = torch.relu(self.stem(x))
        shuffled = y.reshape(-1, 2, 4, 7, 7).transpose(1, 2).reshape(-1, 8, 7, 7)
        joined = torch.cat([self.side(shuffled[:, :4]), shuffled[:, 4:]], 1)
        rows = joined.flatten(2).transpose(1, 2)
        return (
            self.last((rows * torch.softmax(rows, -1)).flatten(1))
            + nn.functional.layer_norm(y.mean((2, 3)), (8,))[:, :5]
        )


@pytest.mark.parametrize("make", [lambda: vgg(2), lambda: resnet(2), Moved], ids=["vgg", "resnet", "moved"])
def test_operators_that_agree_on_equal_operands_are_told_from_those_that_do_not(tmp_path, make):
    """Whatever the layout in which a value lies, the integers of one runtime are those of the other."""
    network, shape = make(), (3, 16, 16)
    shape = getattr(network, "shape", shape)
    inputs = samples(shape, 8)
    made = quantized(network, shape, tmp_path, inputs)
    assert len(emit_apart(made.model, made.spec).values) > 5
    found = differences(made.model, made.spec, inputs)
    assert all(each.steps == 1 for each in found)
    expected = run_onnx(write_qdq(made.model, made.spec), inputs)[0]
    if not found and not made.spec.kept:
        assert np.array_equal(expected, run_tflite(tmp_path / "model.tflite", inputs)[0])


class Ties(nn.Module):
    """A sum of neighbours, whose halves are rounded otherwise, between layers that both runtimes compute alike."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)

    def forward(self, x):
        y = nn.functional.relu6(8 * self.first(x))
        return self.last(y + torch.cat([y[:, 1:], y[:, :1]], 1)).flatten(1)


def test_the_operator_is_named_with_the_steps_and_the_share(tmp_path):
    inputs = samples((3, 12, 12), 8)
    made = quantized(Ties(), (3, 12, 12), tmp_path, inputs)
    found, *_ = differences(made.model, made.spec, inputs)
    assert (found.node, found.kind, found.steps) == ("/Add", "Add", 1)
    assert 0.001 < found.share < 0.3
    assert str(found).startswith("/Add (Add): 1 step at most in ")
