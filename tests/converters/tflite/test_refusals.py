"""What TFLite cannot have: all of it is named at once, before anything is written."""

import pytest
import torch
from emission import Function, emitted, graph, node, traced
from torch import nn
from torch.nn import functional

from converters.errors import UnsupportedOperator
from converters.onnx_export import export_onnx
from converters.tflite.emit import emit_tflite


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), Function(torch.erf), nn.Conv2d(4, 4, 3), Function(torch.erf))
        self.head = nn.Upsample(scale_factor=2, mode="bicubic")

    def forward(self, x):
        return self.head(self.body(x)).cumsum(1)


def test_all_unknown_operators_are_named_at_once_and_nothing_is_written(tmp_path):
    path = export_onnx(Odd(), torch.zeros(1, 3, 12, 12), tmp_path / "odd.onnx", simplify=False).path
    with pytest.raises(UnsupportedOperator) as caught:
        emit_tflite(path, tmp_path / "odd.tflite")
    assert str(caught.value).removeprefix(f"{tmp_path}/") == (
        "odd.onnx: no TFLite for Erf (at /body/body.1/Erf, /body/body.3/Erf); Resize with mode cubic from (1, 4, 8, 8) "
        "to (1, 4, 16, 16) (at /head/Resize); CumSum (at /CumSum). Replace these layers, or run the network on ONNX "
        "Runtime"
    )
    assert [item.node for item in caught.value.unsupported][:2] == ["/body/body.1/Erf", "/body/body.3/Erf"]
    assert [file.name for file in tmp_path.iterdir()] == ["odd.onnx"]


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic"), "Resize with mode cubic"),
        (nn.Sequential(nn.Flatten(2), nn.Unflatten(2, (4, 2, 2)), nn.Conv3d(3, 4, 2)), "3 spatial dimensions"),
        (lambda x: functional.conv2d(x, x.mean((2, 3), keepdim=True)), "an input 1 that is computed"),
        (lambda x: x.argmax(1) + 1, "Add with a value of type int64"),
        (lambda x: sum(functional.max_pool2d(x, 2, return_indices=True)), "MaxPool with indices"),
        (lambda x: functional.prelu(x.flatten(1), torch.linspace(0, 1, 48)), "slopes that are not one for each"),
        (lambda x: x.cumsum(1), "CumSum"),
    ],
)
def test_forms_that_are_refused_by_name(network, said):
    with pytest.raises(UnsupportedOperator, match=said):
        traced(network if isinstance(network, nn.Module) else Function(network), (3, 4, 4))


def test_a_shape_that_depends_on_the_image():
    nodes = [
        node("Abs", ["input"], ["y"]),
        node("NonZero", ["y"], ["places"]),
        node("Cast", ["places"], ["z"], to=1),
        node("ReduceSum", ["z"], ["s"], keepdims=0),
        node("Add", ["s", "input"], ["logits"]),
    ]
    with pytest.raises(UnsupportedOperator, match=r"no TFLite for NonZero \(at places\)\. Replace"):
        emitted(graph(nodes, (1, 3, 4, 4)))


def test_an_operator_of_another_domain_is_another_operator():
    relu = node("Relu", ["input"], ["y"], domain="com.example")
    model = graph([relu, node("Shape", ["y"], ["s"]), node("Cast", ["s"], ["logits"], to=1)], (1, 3, 4, 4))
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = 4
    with pytest.raises(UnsupportedOperator, match="no TFLite for Relu"):
        emitted(model)
