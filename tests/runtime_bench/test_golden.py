"""Whether outputs agree with the golden ones, and within which tolerance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_bench.golden import GoldenVector, Tolerance, agreement


@pytest.fixture
def compared(tmp_path_factory):
    """The agreement of outputs with golden ones, one row a vector."""

    def compared(golden, found, **tolerance):
        folder = tmp_path_factory.mktemp("golden")
        vectors = []
        for index, row in enumerate(golden):
            vectors.append(GoldenVector(folder / f"{index}.in", folder / f"{index}.out"))
            np.asarray(row).tofile(vectors[-1].output)
        return agreement(vectors, [np.asarray(row) for row in found], Tolerance(**tolerance))

    return compared


def rows(*values):
    return np.array(values, np.float32)


def test_equal_outputs(compared):
    golden = rows([1, 2, 3], [3, 2, 1])
    found = compared(golden, golden, rtol=0.0)
    assert (found.vectors, found.max_abs, found.max_relative, found.snr_db) == (2, 0.0, 0.0, None)
    assert (found.top1_equal, found.within_tolerance) == (2, True)


@given(st.integers(1, 4), st.integers(2, 6), st.floats(1e-6, 0.5), st.integers(0, 100))
def test_figures_against_their_definitions(tmp_path_factory, count, size, noise, seed):
    random = np.random.default_rng(seed)
    golden = random.standard_normal((count, size)).astype(np.float32)
    found = (golden + noise * random.standard_normal((count, size))).astype(np.float32)
    folder = tmp_path_factory.mktemp("golden")
    vectors = [GoldenVector(folder / "in", folder / f"{index}.out") for index in range(count)]
    for vector, row in zip(vectors, golden, strict=True):
        row.tofile(vector.output)
    result = agreement(vectors, list(found), Tolerance())
    difference = found.astype(float) - golden.astype(float)
    assert result.max_abs == np.abs(difference).max()
    assert result.max_relative == pytest.approx(np.abs(difference).max() / np.abs(golden).max(), rel=1e-12)
    power = np.linalg.norm(golden.astype(float)) / np.linalg.norm(difference)
    assert result.snr_db == pytest.approx(20 * np.log10(power), rel=1e-9)
    assert result.top1_equal == sum(
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
    found = compared(np.array([[-128, 0]], np.int8), np.array([[127, 0]], np.int8), max_lsb=10, top1=False)
    assert (found.max_abs, found.within_tolerance) == (255, False)


@pytest.mark.parametrize("top1", [True, False])
def test_a_changed_class_matters_where_it_was_asked_for(compared, top1):
    found = compared(rows([1, 1.001], [2, 1]), rows([1.002, 1.001], [2, 1]), rtol=0.1, top1=top1)
    assert found.top1_equal == 1
    assert found.within_tolerance is not top1


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
    found = compared(golden, output, rtol=1e9, top1=False)
    assert (found.max_abs, found.max_relative, found.snr_db) == (None, None, None)
    assert (found.top1_equal, found.within_tolerance) == (0, False)


def test_golden_zeros(compared):
    assert compared(rows([0, 0]), rows([0, 0]), rtol=0.0).within_tolerance
    found = compared(rows([0, 0]), rows([0, 1e-9]), rtol=1.0, top1=False)
    assert (found.max_relative, found.snr_db, found.within_tolerance) == (None, None, False)


def test_a_golden_file_for_every_output_is_needed(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        agreement([], [rows([1])[0]], Tolerance())
