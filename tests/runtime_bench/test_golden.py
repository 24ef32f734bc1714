"""Whether outputs agree with the golden ones, and within which tolerance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_bench.golden import Tolerance, agreements


@pytest.fixture
def compared():
    """The agreement of an output with golden ones, one row a vector; its classes count unless it is said otherwise."""

    def compared(golden, found, **tolerance):
        asked = Tolerance(**({"classes": True} | tolerance))
        (agreed,) = agreements([[np.asarray(row)] for row in golden], [[np.asarray(row)] for row in found], [asked])
        return agreed

    return compared


def rows(*values):
    return np.array(values, np.float32)


def test_equal_outputs(compared):
    golden = rows([1, 2, 3], [3, 2, 1])
    found = compared(golden, golden, rtol=0.0)
    assert (found.vectors, found.max_abs, found.max_relative, found.snr_db) == (2, 0.0, 0.0, None)
    assert (found.classes_equal, found.within_tolerance) == (2, True)


@given(st.integers(1, 4), st.integers(2, 6), st.floats(1e-6, 0.5), st.integers(0, 100))
def test_figures_against_their_definitions(count, size, noise, seed):
    random = np.random.default_rng(seed)
    golden = random.standard_normal((count, size)).astype(np.float32)
    found = (golden + noise * random.standard_normal((count, size))).astype(np.float32)
    (result,) = agreements([[row] for row in golden], [[row] for row in found], [Tolerance(classes=True)])
    difference = found.astype(float) - golden.astype(float)
    assert result.max_abs == np.abs(difference).max()
    assert result.max_relative == pytest.approx(np.abs(difference).max() / np.abs(golden).max(), rel=1e-12)
    power = np.linalg.norm(golden.astype(float)) / np.linalg.norm(difference)
    assert result.snr_db == pytest.approx(20 * np.log10(power), rel=1e-9)
    assert result.classes_equal == sum(
        np.argmax(one) == np.argmax(other) for one, other in zip(golden, found, strict=True)
    )


@pytest.mark.parametrize(("rtol", "within"), [(0.02, True), (0.005, False)])
def test_the_share_is_of_the_largest_output(compared, rtol, within):
    found = compared(rows([0, 0.5, 10]), rows([0.1, 0.5, 10]), rtol=rtol)
    assert found.max_relative == pytest.approx(0.01)
    assert found.within_tolerance is within


@pytest.mark.parametrize(("steps", "within"), [(2, True), (1, False)])
def test_integers_are_compared_in_steps(compared, steps, within):
    golden, output = np.array([[-128, 5, 127]], np.int8), np.array([[-126, 5, 127]], np.int8)
    found = compared(golden, output, max_lsb=steps)
    assert found.max_abs == 2
    assert found.within_tolerance is within


def test_far_integers_do_not_wrap(compared):
    found = compared(np.array([[-128, 0]], np.int8), np.array([[127, 0]], np.int8), max_lsb=10, classes=False)
    assert (found.max_abs, found.within_tolerance) == (255, False)


@pytest.mark.parametrize("classes", [True, False])
def test_a_changed_class_matters_where_it_was_asked_for(compared, classes):
    found = compared(rows([1, 1.001], [2, 1]), rows([1.002, 1.001], [2, 1]), rtol=0.1, classes=classes)
    assert found.classes_equal == (1 if classes else None)
    assert found.within_tolerance is not classes


@pytest.mark.parametrize(
    ("golden", "output"),
    [
        (rows([1, 2]), rows([1, 2, 3])),
        (rows([1, 2, 3]), rows([1, 2])),
        (rows([1, 2]), rows([1, np.nan])),
        (rows([1, 2]), rows([1, np.inf])),
        (rows([1, np.nan]), rows([1, 2])),
        (rows([]), rows([1])),
    ],
)
def test_outputs_that_cannot_be_compared_are_never_within(compared, golden, output):
    found = compared(golden, output, rtol=1e9, classes=False)
    assert (found.max_abs, found.max_relative, found.snr_db) == (None, None, None)
    assert (found.classes_equal, found.within_tolerance) == (None, False)


def test_golden_zeros(compared):
    assert compared(rows([0, 0]), rows([0, 0]), rtol=0.0).within_tolerance
    found = compared(rows([0, 0]), rows([0, 1e-9]), rtol=1.0, classes=False)
    assert (found.max_relative, found.snr_db, found.within_tolerance) == (None, None, False)


def test_a_row_for_every_vector_is_needed():
    with pytest.raises(ValueError, match="zip"):
        agreements([], [[rows([1])[0]]], [Tolerance()])


def test_every_output_has_its_own_tolerance():
    expected, found = [[rows([1, 2])[0], rows([10, 20])[0]]], [[rows([1, 2])[0], rows([11, 20])[0]]]
    exact, loose = (
        agreements(expected, found, [Tolerance("one", rtol=0.0), Tolerance("other", rtol=share)])
        for share in (0.0, 0.06)
    )
    assert [(each.output, each.within_tolerance) for each in exact] == [("one", True), ("other", False)]
    assert [each.within_tolerance for each in loose] == [True, True]
    assert [each.classes_equal for each in loose] == [None, None]


def test_an_output_that_is_not_there_is_never_within():
    both = [Tolerance("one", rtol=1.0), Tolerance("other", rtol=1.0)]
    one, other = agreements([[rows([1])[0]] * 2], [[rows([1])[0]]], both)
    assert (one.within_tolerance, other.within_tolerance, other.max_abs) == (True, False, None)


@pytest.mark.parametrize(("share", "within"), [(0.25, True), (0.2, False)])
def test_whole_numbers_may_differ_in_a_share_of_places(compared, share, within):
    golden, output = np.array([[1, 2, 3, 4]], np.int64), np.array([[1, 2, 3, 90]], np.int64)
    assert compared(golden, output, differing=share, classes=False).within_tolerance is within
