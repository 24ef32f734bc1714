"""Every form, in every geometry of a convolution: exact at its largest, and else as far off as it says."""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from falcon_edge.falcon import surgery
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.plan import make_plan
from falcon_edge.falcon.statistics import patch_statistics

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIDES = 17, 18
EVERY = pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))


@st.composite
def convolutions(draw, padded=True):
    """A convolution of any geometry."""
    groups = draw(st.sampled_from([1, 1, 1, 1, 2, 4]))
    kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride, dilation = draw(PAIR), draw(PAIR)
    padding = draw(
        st.one_of(
            st.sampled_from(["same", "valid"]), st.integers(0, 2), st.tuples(st.integers(0, 2), st.integers(0, 2))
        )
    )
    padding = padding if padded else 0
    conv = nn.Conv2d(
        groups * draw(st.integers(1, 5)),
        groups * draw(st.integers(1, 5)),
        kernel,
        (1, 1) if padding == "same" else stride,
        padding,
        dilation,
        groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    )
    torch.manual_seed(draw(st.integers(0, 2**31)))
    nn.init.normal_(conv.weight, std=conv.weight[0].numel() ** -0.5)
    if draw(st.booleans()):
        with torch.no_grad():
            conv.weight[draw(st.integers(0, conv.out_channels - 1))] = 0
    return conv


def sizes_of(data, form, conv):
    return tuple(data.draw(st.integers(1, most)) for most in form.lossless(conv.weight))


def images(conv, count=2):
    return torch.randn(count, conv.in_channels, *SIDES) + 0.5


def statistics_of(conv):
    """Of images whose channels and pixels depend on each other."""
    mixed = torch.einsum("bchw,dc->bdhw", images(conv, 4), torch.randn(conv.in_channels, conv.in_channels))
    return patch_statistics(nn.Sequential(conv), ["0"], [mixed + 0.5 * mixed.roll(1, -1)])["0"]


def merged(form, conv, sizes, statistics=None):
    """The kernel that a fitted form computes, by its answers to single pixels."""
    layer = form.from_conv(conv, sizes, statistics).double()
    plain = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, groups=conv.groups, bias=False).double()
    alone = form.like(plain, sizes).double()
    alone.load_state_dict({name: value for name, value in layer.state_dict().items() if not name.endswith("bias")})
    height, width = conv.kernel_size
    pixels = torch.zeros(conv.in_channels, conv.in_channels, 2 * height - 1, 2 * width - 1).double()
    pixels[range(conv.in_channels), range(conv.in_channels), height - 1, width - 1] = 1
    with torch.no_grad():
        answers = alone(pixels).transpose(0, 1).flip(2, 3)
    size, outputs = conv.weight.shape[1], conv.out_channels // conv.groups
    return torch.stack([answers[n, n // outputs * size :][:size] for n in range(conv.out_channels)])


@EVERY
@given(conv=convolutions())
@settings(max_examples=40)
def test_equals_the_convolution_at_its_largest(form, conv):
    if form.why_not(conv) is not None:
        with pytest.raises(ValueError, match="this convolution is left alone"):
            form.from_conv(conv, form.lossless(conv.weight))
        return
    layer, x = form.from_conv(conv, form.lossless(conv.weight)), images(conv)
    with torch.no_grad():
        expected, found = conv(x), layer(x)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert layer.kernel_size == conv.kernel_size
    assert layer.stride == conv.stride


@EVERY
@given(conv=convolutions(), data=st.data())
@settings(max_examples=40)
def test_its_error_is_what_is_left_of_the_kernel(form, conv, data):
    assume(form.why_not(conv) is None)
    sizes = sizes_of(data, form, conv)
    fit, errors = form.fit(conv.weight, sizes), form.errors(conv.weight)
    assert tuple(errors.shape) == form.lossless(conv.weight)
    left = float((conv.weight - merged(form, conv, sizes)).square().sum() / conv.weight.square().sum().clamp(min=1e-30))
    assert fit.error == pytest.approx(left, abs=1e-6)
    assert float(errors[tuple(size - 1 for size in sizes)]) == pytest.approx(fit.error, abs=1e-9)
    assert float(errors.flatten()[-1]) == pytest.approx(0, abs=1e-9)


@EVERY
@given(conv=convolutions(), data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_a_fit_to_the_outputs_says_its_error_there_and_is_no_worse(form, conv, data):
    assume(form.why_not(conv) is None and conv.groups == 1)
    sizes, statistics = sizes_of(data, form, conv), statistics_of(conv)
    covariance = torch.kron(statistics.channels[0].contiguous(), statistics.taps[0].contiguous())
    assume(torch.linalg.cond(covariance) < 1e6)
    kernel = conv.weight.detach().double().flatten(1)

    def output_error(found):
        rest = kernel - found.flatten(1)
        return float((rest @ covariance * rest).sum() / (kernel @ covariance * kernel).sum().clamp(min=1e-30))

    fit = form.fit(conv.weight, sizes, statistics)
    aware, plain = output_error(merged(form, conv, sizes, statistics)), output_error(merged(form, conv, sizes))
    assert fit.error == pytest.approx(aware, abs=2e-5)
    assert float(form.errors(conv.weight, statistics)[tuple(size - 1 for size in sizes)]) == pytest.approx(
        fit.error, abs=1e-5
    )
    if form.name in ("falcon", "lowrank_in", "lowrank_out"):  # the best there is; the others are near it
        assert aware <= plain + 1e-5


@EVERY
@given(conv=convolutions(), data=st.data())
@settings(max_examples=40)
def test_costs_what_it_says(form, conv, data):
    assume(form.why_not(conv) is None)
    sizes = sizes_of(data, form, conv)
    network, shape = nn.Sequential(conv), (conv.in_channels, *SIDES)
    plan = make_plan(network, shape, {"0": Replacement(form.name, sizes)})
    found = cost(surgery.apply(network, plan.replaced), shape)
    assert (found.parameters, found.macs) == (plan.planned_parameters, plan.planned_macs)
    with_bias = {"0": statistics_of(conv)}
    fitted = surgery.apply(network, plan.replaced, statistics=with_bias)
    assert (
        cost(fitted, shape).parameters
        == make_plan(network, shape, plan.replaced, statistics=with_bias).planned_parameters
    )


@EVERY
@given(conv=convolutions(padded=False), data=st.data())
@settings(max_examples=25)
def test_the_output_keeps_its_mean(form, conv, data):
    """The bias makes up for what the fit takes from the mean; of patches, so that borders are left out."""
    assume(form.why_not(conv) is None)
    x = images(conv, 4)
    statistics = patch_statistics(nn.Sequential(conv), ["0"], [x])["0"]
    layer = form.from_conv(conv, sizes_of(data, form, conv), statistics)
    with torch.no_grad():
        expected, found = conv(x).mean((0, 2, 3)), layer(x).mean((0, 2, 3))
    assert torch.allclose(expected, found, atol=1e-4)


@EVERY
@given(conv=convolutions(), data=st.data())
@settings(max_examples=25)
def test_is_known_by_its_weights(form, conv, data):
    assume(form.why_not(conv) is None)
    sizes = sizes_of(data, form, conv)
    shapes = {name: tuple(value.shape) for name, value in form.like(conv, sizes).state_dict().items()}
    assert {name: each.sizes_of(shapes) for name, each in FORMS.items() if each.sizes_of(shapes)} == {form.name: sizes}


@EVERY
def test_same_kernel_same_bytes_and_bad_sizes_are_refused(form):
    kernel = torch.randn(12, 8, 3, 3)
    sizes = tuple(2 for _ in form.dimensions)
    one, other = form.fit(kernel, sizes), form.fit(kernel.clone(), sizes)
    assert all(torch.equal(factor, other.factors[name]) for name, factor in one.factors.items())
    for bad in (tuple(0 for _ in sizes), tuple(99 for _ in sizes), (*sizes, 1)):
        with pytest.raises(ValueError, match="outside"):
            form.fit(kernel, bad)
    with pytest.raises(ValueError, match="not finite"):
        form.fit(kernel * torch.nan, sizes)


@EVERY
def test_rescaled_and_loaded_again(form):
    conv = nn.Conv2d(8, 12, 3, bias=False)
    layer = form.from_conv(conv, tuple(2 for _ in form.dimensions))
    x, scale, shift = torch.randn(1, 8, 9, 9), torch.rand(12).double() + 0.5, torch.randn(12).double()
    with torch.no_grad():
        expected = layer(x) * scale[:, None, None] + shift[:, None, None]
        layer.rescale(scale, shift)
        assert torch.allclose(layer(x), expected.float(), atol=1e-5)
        again = form.like(conv, tuple(2 for _ in form.dimensions))
        again.load_state_dict(layer.state_dict())
        assert torch.equal(again(x), layer(x))


@EVERY
@pytest.mark.parametrize("scale", [0.0, 1e-30])
def test_a_layer_that_is_fed_nothing_keeps_finite_weights(form, scale):
    conv, x = nn.Conv2d(6, 8, 3, padding=1), scale * torch.randn(4, 6, 9, 9)
    statistics = patch_statistics(nn.Sequential(conv), ["0"], [x])["0"]
    layer = form.from_conv(conv, tuple(1 for _ in form.lossless(conv.weight)), statistics)
    assert all(torch.isfinite(values).all() for values in layer.state_dict().values())
    with torch.no_grad():
        assert torch.allclose(layer(x), conv(x), atol=1e-5)
