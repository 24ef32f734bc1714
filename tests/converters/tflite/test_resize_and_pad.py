"""Images made larger or smaller: TFLite has other forms than ONNX, and only equal ones are taken."""

import contextlib

import numpy as np
import pytest
import torch
from emission import emitted, graph, node, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from converters.errors import UnsupportedOperator


@given(
    st.sampled_from(["nearest", "linear"]),
    st.sampled_from(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]),
    st.sampled_from(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
    st.tuples(st.integers(1, 7), st.integers(1, 7)), st.tuples(st.integers(1, 14), st.integers(1, 14)),
)  # fmt: skip
@settings(max_examples=150)
def test_resize_is_right_or_refused(mode, transform, rounding, before, after):
    resize = node(
        "Resize", ["input", "", "", "sizes"], ["logits"], mode=mode, coordinate_transformation_mode=transform,
        nearest_mode=rounding,
    )  # fmt: skip
    model = graph([resize], (1, 3, *before), sizes=np.array([1, 3, *after]))
    with contextlib.suppress(UnsupportedOperator):  # what torch writes is not refused: see below
        assert emitted(model).keys() <= {"RESIZE_NEAREST_NEIGHBOR" if mode == "nearest" else "RESIZE_BILINEAR"}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"scale_factor": 2}, "RESIZE_NEAREST_NEIGHBOR"),
        ({"size": (7, 9)}, "RESIZE_NEAREST_NEIGHBOR"),
        ({"size": (3, 3)}, "RESIZE_NEAREST_NEIGHBOR"),
        ({"scale_factor": 2, "mode": "bilinear"}, "RESIZE_BILINEAR"),
        ({"size": (7, 9), "mode": "bilinear"}, "RESIZE_BILINEAR"),
        ({"size": (7, 9), "mode": "bilinear", "align_corners": True}, "RESIZE_BILINEAR"),
        ({"size": (3, 2), "mode": "bilinear"}, "RESIZE_BILINEAR"),
    ],
)
def test_interpolation_of_torch(options, code):
    assert traced(lambda x: functional.interpolate(x, **options), (3, 5, 6)) == {code: 1}


def test_smoothing_before_shrinking_is_refused():
    resize = node("Resize", ["input", "", "", "sizes"], ["logits"], mode="linear", antialias=1)
    model = graph([resize], (1, 3, 8, 8), opset=18, sizes=np.array([1, 3, 4, 4]))
    with pytest.raises(UnsupportedOperator, match="Resize with antialias"):
        emitted(model)


AMOUNT = st.integers(-2, 2)


@given(st.sampled_from(["constant", "reflect", "edge"]), st.tuples(*(AMOUNT,) * 6), st.sampled_from([0.0, -1.5]))
@settings(max_examples=80)
def test_pads(mode, amounts, fill):
    channels = amounts[:2]
    names = ["input", "pads", "fill"] if mode == "constant" else ["input", "pads"]
    pads = np.array([0, channels[0], *amounts[2:4], 0, channels[1], *amounts[4:]])
    model = graph([node("Pad", names, ["logits"], mode=mode)], (1, 5, 6, 7), pads=pads, fill=np.float32(fill))
    counts = emitted(model)
    assert counts.keys() <= {"PAD", "PADV2", "MIRROR_PAD", "SLICE"}
    assert ("MIRROR_PAD" in counts) == (mode != "constant" and max(amounts) > 0)


@pytest.mark.parametrize(
    ("options", "operators"),
    [
        ({}, {"PAD": 1}),
        ({"value": -1.5}, {"PADV2": 1}),
        ({"mode": "reflect"}, {"MIRROR_PAD": 1}),
        ({"mode": "replicate"}, {"MIRROR_PAD": 3}),
    ],
)
def test_padding_of_torch(options, operators):
    assert traced(lambda x: functional.pad(x, (1, 2, 0, 3), **options), (3, 8, 8)) == operators


@pytest.mark.parametrize("blocks", [torch.nn.PixelShuffle(2), torch.nn.PixelUnshuffle(2)])
def test_pixel_shuffles(blocks):
    assert traced(blocks, (8, 4, 6)).keys() == {"RESHAPE", "TRANSPOSE"}
