"""FalconConv2d in every geometry of a convolution."""

import io

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from falcon_edge.falcon import gep
from falcon_edge.falcon.forms import FALCON
from falcon_edge.falcon.patches import PatchStatistics

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw):
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    assume(kernel != (1, 1))
    stride, dilation = draw(PAIR), draw(PAIR)
    padding = draw(
        st.one_of(
            st.sampled_from(["same", "valid"]), st.integers(0, 2), st.tuples(st.integers(0, 2), st.integers(0, 2))
        )
    )
    if padding == "same":
        stride = (1, 1)
    conv = nn.Conv2d(
        groups * draw(st.integers(2, 4)),
        groups * draw(st.integers(1, 4)),
        kernel,
        stride,
        padding,
        dilation,
        groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    )
    torch.manual_seed(draw(st.integers(0, 2**31)))
    nn.init.normal_(conv.weight, std=conv.weight[0].numel() ** -0.5)
    return conv


@given(convolutions())
@settings(max_examples=200)
def test_equals_the_convolution_at_lossless_rank(conv):
    layer = FALCON.from_conv(conv, FALCON.lossless(conv.weight))
    x = torch.randn(2, conv.in_channels, 17, 18)
    with torch.no_grad():
        expected, found = conv(x), layer(x)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@given(convolutions(), st.data())
def test_has_the_kernel_of_its_fit(conv, data):
    rank = data.draw(st.integers(1, gep.lossless_rank(conv.weight)))
    layer = FALCON.from_conv(conv, (rank,))
    fitted = gep.fit(conv.weight, rank)
    approximated = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups,
        conv.bias is not None, conv.padding_mode,
    )  # fmt: skip
    with torch.no_grad():
        approximated.weight.copy_(torch.einsum("rnm,rnij->nmij", fitted.pointwise, fitted.depthwise))
        if conv.bias is not None:
            approximated.bias.copy_(conv.bias)
        x = torch.randn(1, conv.in_channels, 17, 18)
        expected = approximated(x)
        assert (layer(x) - expected).abs().max() <= 1e-5 * expected.abs().max()


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
