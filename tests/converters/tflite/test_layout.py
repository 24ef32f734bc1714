"""Layouts against numpy: whatever is renamed or moved, memory holds what it should."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from converters.tflite.layout import NHWC, Layout, usual_order

SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=5).map(tuple)


def split(draw, size):
    """A random way to write a size as axes, ones among them."""
    axes = []
    while size > 1:
        factor = draw(st.sampled_from([divisor for divisor in range(2, size + 1) if size % divisor == 0]))
        axes.append(factor)
        size //= factor
    return [*axes, *draw(st.sampled_from([[], [1]]))]


@st.composite
def renamed(draw):
    """A value, its memory, and its layout after some transposes and reshapes of the value."""
    shape = draw(SHAPES)
    order = tuple(draw(st.permutations(range(len(shape)))))
    value = np.arange(np.prod(shape)).reshape(shape)
    memory, layout = value.transpose(order).reshape(-1), Layout.of(shape, order)
    for _ in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            order = tuple(draw(st.permutations(range(value.ndim))))
            value, layout = value.transpose(order), layout.transpose(order)
        else:
            shape = tuple(size for axis in value.shape for size in split(draw, axis)) or (1,)
            if draw(st.booleans()) and len(shape) > 1:
                at = draw(st.integers(0, len(shape) - 2))
                shape = (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])
            new = layout.reshape(shape)
            if new is not None:
                value, layout = value.reshape(shape), new
    return value, memory, layout


@given(renamed())
def test_renaming_axes_moves_nothing(given):
    value, memory, layout = given
    assert layout.shape == value.shape
    assert np.array_equal(layout.arrange(value), memory)


@given(renamed())
def test_axes_in_one_piece_are_a_transpose(given):
    value, memory, layout = given
    order = layout.axes()
    if order is not None:
        assert Layout.of(value.shape, order) == layout
        assert np.array_equal(value.transpose(order).reshape(-1), memory)


@given(renamed(), st.randoms(use_true_random=False))
def test_moving_between_layouts(given, random):
    value, memory, layout = given
    order = list(range(value.ndim))
    random.shuffle(order)
    target = Layout.of(value.shape, tuple(order))
    sizes, permutation = layout.moves_to(target)
    moved = memory.reshape(sizes).transpose(permutation) if permutation else memory
    assert np.array_equal(moved.reshape(-1), target.arrange(value))
    assert (permutation == ()) == (layout == target)
    for one, other in itertools.pairwise(permutation):
        assert other != one + 1  # else the two would be one axis


@given(renamed())
def test_index_of_the_last_axis(given):
    value, memory, layout = given
    for last in range(value.ndim):
        order = (*(axis for axis in range(value.ndim) if axis != last), last)
        index = layout.last_axis_index(order)
        if index is not None:
            assert np.array_equal(value.transpose(order)[..., index].reshape(-1), memory)


def test_a_flattened_image_is_its_channels_in_another_order():
    flat = Layout.of((1, 3, 4, 5), NHWC).reshape((1, 60))
    assert flat.axes() is None
    assert flat.last_axis_index((0, 1)).tolist()[:4] == [0, 20, 40, 1]


def test_a_channel_shuffle_is_one_transpose():
    image = Layout.of((1, 6, 4, 5), NHWC)
    shuffled = image.reshape((1, 2, 3, 4, 5)).transpose((0, 2, 1, 3, 4)).reshape((1, 6, 4, 5))
    assert shuffled.moves_to(image) == ((20, 2, 3), (0, 2, 1))


def test_permutes_around_a_linear_layer_cancel():
    image = Layout.of((1, 6, 4, 5), NHWC)
    last = image.transpose((0, 2, 3, 1))
    assert last.axes() == (0, 1, 2, 3)
    assert last.transpose((0, 3, 1, 2)) == image


def test_any_reshape_of_what_lies_in_its_own_order():
    assert Layout.of((6, 4)).reshape((8, 3)) == Layout.of((8, 3))
    assert Layout.of((5, 6, 4)).transpose((1, 2, 0)).reshape((8, 3, 5)) is not None


def test_a_reshape_that_cuts_through_axes_is_refused():
    assert Layout.of((6, 4), (1, 0)).reshape((8, 3)) is None


def test_usual_order():
    assert usual_order(4) == NHWC
    assert usual_order(3) == (0, 1, 2)
