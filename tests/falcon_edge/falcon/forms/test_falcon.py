"""FALCON's form alone; what holds for every form is in test_forms.py."""

import io

import pytest
import torch
from torch import nn

from falcon_edge.falcon.forms import FALCON
from falcon_edge.falcon.patches import PatchStatistics


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.Conv2d(4, 8, 1), "pointwise"),
        (nn.Conv2d(8, 8, 3, groups=8), "depthwise"),
        (nn.Conv2d(8, 16, 3, groups=8), "depthwise"),
        (nn.LazyConv2d(8, 3), "not known"),
        (type("MyConv", (nn.Conv2d,), {})(4, 8, 3), "MyConv"),
        (nn.utils.spectral_norm(nn.Conv2d(4, 8, 3)), "hooks"),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 8, 3)), "Parametrized"),
    ],
)
def test_left_alone_with_a_reason(module, reason):
    assert reason in FALCON.why_not(module)
    with pytest.raises(ValueError, match=reason):
        FALCON.from_conv(module, (1,))


@pytest.mark.parametrize("rank", [0, 10])
def test_rank_out_of_range(rank):
    with pytest.raises(ValueError, match="rank"):
        FALCON.from_conv(nn.Conv2d(16, 8, 3), (rank,))


def test_bias_that_data_added_survives_saving():
    conv = nn.Conv2d(6, 8, 3, bias=False)
    mean = torch.ones(1, 6, 9).double()
    statistics = PatchStatistics(mean, torch.eye(6).double()[None], torch.eye(9).double()[None])
    layer = FALCON.from_conv(conv, (1,), statistics)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    loaded = FALCON.like(conv, (1,))
    loaded.load_state_dict(torch.load(buffer, weights_only=True))
    x = torch.randn(1, 6, 8, 8)
    assert torch.equal(loaded(x), layer(x))
    assert loaded.depthwise[0].bias.abs().max() > 0


def test_keeps_dtype_and_mode():
    layer = FALCON.from_conv(nn.Conv2d(4, 8, 3).double().eval(), (1,))
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float64}
    assert not layer.training
