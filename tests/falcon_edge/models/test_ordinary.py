"""Networks as users hand them over, made ordinary ones."""

import numpy as np
import pytest
import torch
from torch import nn

from converters.onnx_export import export_onnx
from converters.runtimes import run_onnx
from falcon_edge.errors import BadInput
from falcon_edge.models.ordinary import ordinary


def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))


def inner_compiled(network):
    network[0] = torch.compile(network[0])
    return network


def compiled_in_place(network):
    network.compile()
    network[0].compile()
    return network


@pytest.mark.parametrize(
    "wrap",
    [
        torch.compile,
        nn.DataParallel,
        lambda network: torch.compile(nn.DataParallel(network)),
        lambda network: nn.DataParallel(torch.compile(network)),
        inner_compiled,
        compiled_in_place,
    ],
)
def test_wrappers_are_taken_off(wrap):
    network = small().eval()
    names, x = list(network.state_dict()), torch.randn(2, 1, 4, 4)
    expected = network(x)
    made, done = ordinary(wrap(network).train())
    assert list(made.state_dict()) == names
    assert all(module._compiled_call_impl is None for module in made.modules())
    assert not any(module.training for module in made.modules())
    assert torch.equal(made(x), expected)
    assert done == ("torch.compile's or a parallel wrapper was taken off",)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(kind):
    made, done = ordinary(small().to(kind))
    assert {tensor.dtype for tensor in made.state_dict().values()} == {torch.float32, torch.int64}
    assert made(torch.zeros(1, 1, 4, 4)).dtype == torch.float32
    assert done == (f"its {str(kind).removeprefix('torch.')} weights were converted to float32",)


def test_an_ordinary_network_stays_as_it_is():
    network = small()
    network.register_buffer("waves", torch.ones(2, dtype=torch.complex64))
    made, done = ordinary(network)
    assert made is network
    assert done == ()
    assert made.waves.dtype == torch.complex64


def test_lazy_modules_are_left_to_their_first_input():
    made, done = ordinary(nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(3)).half())
    assert made(torch.zeros(1, 1, 4, 4)).shape == (1, 3)
    assert "float16" in done[0]


@torch.compile
def doubled(x):
    return -x if torch.compiler.is_compiling() else 2 * x


class Decorated(nn.Linear):
    @torch.compile
    def forward(self, x):
        return super().forward(x) if torch.compiler.is_compiling() else doubled(x)


def test_decorated_functions_run_as_they_are_and_are_exported(tmp_path):
    """A compiled one would take minutes, and a compiler of C++; the exporter does not trace them."""
    try:
        made, done = ordinary(Decorated(3, 3))
        assert torch.equal(made(torch.ones(1, 3)), torch.full((1, 3), 2.0))
        assert done == ("torch.compile's or a parallel wrapper was taken off",)
        path = export_onnx(made, torch.zeros(1, 3), tmp_path / "a.onnx").path
        assert np.array_equal(run_onnx(path, np.ones((1, 3), np.float32))[0], [[2, 2, 2]])
    finally:
        torch.compiler.set_stance("default")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's, about its quantization
def test_a_quantized_network_is_called_one():
    with pytest.raises(BadInput, match=r"quantized network.*; hand over the float one"):
        ordinary(torch.ao.quantization.quantize_dynamic(small(), {nn.Linear}))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: small().to("meta"), "its 0.weight is on the meta device"),
        (lambda: torch.jit.script(small()), "it is a TorchScript program"),
    ],
)
def test_what_cannot_be_made_ordinary(make, said):
    with pytest.raises(BadInput, match=said):
        ordinary(make())
