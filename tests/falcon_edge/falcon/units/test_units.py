"""Units against the formulas of their papers, and against what is counted while they run."""

from dataclasses import fields

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from falcon_edge.cli import completion
from falcon_edge.errors import BadInput
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.forms import FALCON
from falcon_edge.falcon.observe import observe
from falcon_edge.falcon.units import UNITS, unit_named
from falcon_edge.falcon.units.layers import passes, shuffle

EIGHTS = st.integers(1, 5).map(lambda count: 8 * count)
FEW = "its few input channels would be filtered alike for all outputs"


def written_out(name, m, n, d, before, after, *, t=1, g=1, k=1, splits=False):
    """Weights and MACs as the papers have them (FALCON's table 2, docs/units.md)."""
    h = n // 2
    given = h if splits else m
    branches = 1 if splits else 2
    match name:
        case "dsconv":
            return d * d * m + m * n, after * (d * d * m + m * n)
        case "mobilev2":
            late = t * (d * d * m + m * n)
            return t * m * m + late, before * t * m * m + after * late
        case "shuffle":
            h = n // 4
            late = d * d * h + h * n // g
            return m * h // g + late, before * m * h // g + after * late
        case "shufflev2":
            late = d * d * h + h * h + (0 if splits else d * d * m + m * h)
            return given * h + late, before * given * h + after * late
        case "stconv_branch":
            return branches * d * d * given * h, branches * after * d * d * given * h
        case "falcon":
            return k * (m * n + d * d * n), k * (before * m * n + after * d * d * n)
        case "falcon_branch":
            weights = branches * k * (given * h + d * d * h)
            return weights, branches * k * (before * given * h + after * d * d * h)


@pytest.mark.parametrize("name", UNITS)
@given(
    m=EIGHTS,
    n=EIGHTS,
    d=st.sampled_from([3, 5]),
    stride=st.sampled_from([1, 2]),
    size=st.integers(1, 5),
    t=st.integers(1, 4),
    g=st.sampled_from([1, 2]),
    k=st.integers(1, 4),
)
def test_the_formulas_of_the_papers(name, m, n, d, stride, size, t, g, k):
    options = {field.name: {"expansion": t, "groups": g, "rank": k}[field.name] for field in fields(UNITS[name])}
    unit, conv = unit_named(name, options), nn.Conv2d(m, n, d, stride, d // 2, bias=False)
    assume(unit.why_not(conv) is None)
    shape = (m, 2 * size, 2 * size)
    before, after = (2 * size) ** 2, (2 * size // stride) ** 2
    expected = written_out(name, m, n, d, before, after, t=t, g=g, k=k, splits=stride == 1 and m == n)
    parts = unit.parts(conv)
    assert (sum(part.weights for part in parts), unit.macs(conv, observe(conv, shape).uses[""])) == expected


@st.composite
def convolutions(draw):
    """Of any geometry that a unit may meet; what it may not is left to its own word."""
    pair = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))  # noqa: E731
    channels = st.one_of(EIGHTS, EIGHTS, st.integers(1, 24))
    m = draw(channels)
    return nn.Conv2d(
        m,
        draw(st.one_of(st.just(m), channels)),
        draw(pair(1, 4)),
        draw(st.one_of(st.just((1, 1)), pair(1, 2))),
        draw(pair(0, 2)),
        draw(pair(1, 2)),
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "circular"])),
    )


@pytest.mark.parametrize("name", UNITS)
@given(conv=convolutions(), data=st.data())
def test_it_has_the_geometry_of_the_convolution_and_costs_what_it_says(name, conv, data):
    options = {field.name: data.draw(st.sampled_from([1, 2, 4])) for field in fields(UNITS[name])}
    unit, shape = unit_named(name, options), (conv.in_channels, 9, 11)
    assume(unit.why_not(conv) is None)
    made = unit.like(conv.eval())
    found = cost(made, shape)
    assert found.parameters == unit.parameters(conv)
    assert found.macs == unit.macs(conv, observe(conv, shape).uses[""])
    x = torch.zeros(2, *shape)
    assert made(x).shape == conv(x).shape
    assert (made.kernel_size, made.stride, made.out_channels) == (conv.kernel_size, conv.stride, conv.out_channels)
    assert not made.training


@given(st.integers(1, 5), st.integers(1, 5))
def test_shuffle_interleaves_the_groups(groups, per_group):
    assume(groups * per_group > 1)
    x = torch.arange(groups * per_group)[None, :, None, None]
    expected = [group * per_group + index for index in range(per_group) for group in range(groups)]
    assert shuffle(x, groups).flatten().tolist() == expected


@pytest.mark.parametrize(
    ("conv", "expected"),
    [
        (nn.Conv2d(4, 4, 3, padding=1), True),
        (nn.Conv2d(4, 4, 3, padding="same"), True),
        (nn.Conv2d(4, 4, (3, 1), padding=(1, 0)), True),
        (nn.Conv2d(4, 4, 3, padding=2, dilation=2), True),
        (nn.Conv2d(4, 4, 3), False),
        (nn.Conv2d(4, 4, 3, padding="valid"), False),
        (nn.Conv2d(4, 4, 2, padding=1), False),
        (nn.Conv2d(4, 6, 3, padding=1), False),
        (nn.Conv2d(4, 4, 3, (1, 2), 1), False),
    ],
)
def test_half_of_the_channels_pass_where_nothing_changes_its_size(conv, expected):
    assert passes(conv) is expected
    assert (unit_named("stconv_branch").like(conv).left is None) is expected


def test_half_of_the_channels_pass_as_they_are():
    made = unit_named("shufflev2").like(nn.Conv2d(8, 8, 3, padding=1).eval())
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(made(x)[:, ::2], x[:, :4])


@pytest.mark.parametrize(
    ("name", "options", "conv", "reason"),
    [
        ("dsconv", {}, nn.Conv2d(3, 16, 3), FEW),
        ("mobilev2", {}, nn.Conv2d(3, 16, 3), FEW),
        ("mobilev2", {"expansion": 3}, nn.Conv2d(3, 16, 3), None),
        ("shufflev2", {}, nn.Conv2d(3, 16, 3), FEW),
        ("shufflev2", {}, nn.Conv2d(16, 15, 3), "its 15 output channels cannot be halved"),
        ("shuffle", {}, nn.Conv2d(3, 16, 3), "its 3 input channels do not divide into 2 groups"),
        ("shuffle", {"groups": 3}, nn.Conv2d(3, 24, 3), None),
        (
            "shuffle",
            {"groups": 3},
            nn.Conv2d(3, 16, 3),
            "a quarter of its 16 output channels does not divide into 3 groups",
        ),
        ("stconv_branch", {}, nn.Conv2d(3, 16, 3), None),
        ("stconv_branch", {}, nn.Conv2d(8, 9, 3), "its 9 output channels cannot be halved"),
        ("falcon_branch", {}, nn.Conv2d(8, 9, 3), "its 9 output channels cannot be halved"),
        *((name, {}, nn.Conv2d(16, 16, 1), "it is pointwise already") for name in UNITS),
        *((name, {}, nn.Conv2d(16, 16, 3, groups=2), "it has 2 groups") for name in UNITS if name != "falcon"),
        *((name, {}, nn.LazyConv2d(16, 3), "its shape is not known before the first forward pass") for name in UNITS),
    ],
)
def test_what_it_cannot_stand_for_is_said(name, options, conv, reason):
    unit = unit_named(name, options)
    assert unit.why_not(conv) == reason
    if reason is not None:
        with pytest.raises(ValueError, match="cannot stand in this convolution's place"):
            unit.like(conv)


def test_falcon_takes_groups_and_no_rank_beyond_the_lossless_one():
    conv = nn.Conv2d(4, 8, 3, padding=1, groups=2)
    made = unit_named("falcon", {"rank": 5}).like(conv)
    assert made.rank == FALCON.lossless(conv.weight)[0] == 2
    assert made(torch.zeros(1, 4, 5, 5)).shape == (1, 8, 5, 5)


def test_the_same_seed_gives_the_same_weights():
    conv, unit = nn.Conv2d(16, 16, 3), unit_named("mobilev2")
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(unit.like(conv).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("vit", {}, "vit: no unit of this name; there are dsconv, mobilev2, "),
        ("dsconv", {"rank": 2}, "`rank` is not for dsconv, which has no options"),
        ("mobilev2", {"groups": 2}, "`groups` is not for mobilev2, which has expansion"),
        ("falcon", {"rank": 0}, r"`rank` 0: lies in 1\.\.64"),
        ("mobilev2", {"expansion": 17}, r"`expansion` 17: lies in 1\.\.16"),
    ],
)
def test_what_there_is_not_is_one_line(name, options, said):
    with pytest.raises(BadInput, match=said):
        unit_named(name, options)


def test_the_command_line_knows_all_of_them():
    assert tuple(UNITS) == completion.UNITS
