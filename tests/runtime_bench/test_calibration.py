"""A board's cycles by what is counted: the fit of known coefficients, and the file that keeps it."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import of_bytes, of_json

from runtime_bench.calibration import FEWEST, Observation, calibration_of, fit, load, save
from runtime_bench.errors import BenchInputError, DeviceError
from runtime_bench.estimates import with_estimates
from runtime_bench.results import Counts, Failure, Flag, RuntimeInfo

MHZ = 1500.0
SEEDS = st.integers(0, 2**32 - 1)
COSTS = st.tuples(st.floats(0.5, 3), st.floats(0, 30), st.floats(0, 300))


def counts_of_files(seed, count=16):
    """Cycles and misses of files from small to large, some of which hardly miss, and others often."""
    chance = np.random.default_rng(seed)
    cycles = np.exp(chance.uniform(np.log(1e6), np.log(1e9), count))
    l1_misses = cycles * chance.uniform(0, 0.05, count)
    return np.stack([cycles, l1_misses, l1_misses * chance.uniform(0, 0.5, count)], 1).round()


def observed(counted, costs, noise=0.0, seed=0):
    """Files on a board where a cycle and the misses take so many cycles."""
    factors = 1 + noise * np.random.default_rng(seed).standard_normal(len(counted))
    nanoseconds = factors * (counted @ np.array(costs)) * 1000 / MHZ
    return [
        Observation(
            model=f"model {index}", file="model.onnx", sha256=f"{index:064x}", runtime="onnxruntime",
            cycles=cycles, l1_misses=int(l1_misses), l2_misses=int(l2_misses), ns=ns,
        )
        for index, ((cycles, l1_misses, l2_misses), ns) in enumerate(zip(counted, nanoseconds, strict=True))
    ]  # fmt: skip


def values(found):
    return np.array([each.value for each in found.coefficients.values()])


# -- the fit --


@given(SEEDS, COSTS)
def test_known_coefficients_are_found_where_nothing_disturbs(seed, costs):
    found = fit(observed(counts_of_files(seed), costs), MHZ)
    assert values(found) == pytest.approx(costs, rel=1e-6, abs=1e-6)
    assert max(found.errors) < 1e-8
    for each in found.coefficients.values():
        assert each.high - each.low < 1e-6 * (1 + each.value)


@given(SEEDS, COSTS)
def test_the_error_without_a_file_is_that_of_the_measurement(seed, costs):
    """The middle of |x| is 0.67 standard deviations, and 3 files' worth of it went into the fit."""
    found = fit(observed(counts_of_files(seed, 40), costs, noise=0.03, seed=seed), MHZ)
    assert 0.3 * 0.03 < np.median(found.errors) < 1.2 * 0.03
    assert 1.3 * 0.03 < max(found.errors) < 6 * 0.03


POSITIVE = st.floats(1, 1e12)
MISSES = st.integers(0, 10**9)


@given(st.lists(st.tuples(POSITIVE, MISSES, MISSES, POSITIVE), min_size=FEWEST, max_size=12))
def test_whatever_was_measured_no_coefficient_is_negative_or_none(rows):
    observations = [
        Observation(
            model="m", file="f", sha256=f"{index:064x}", runtime="litert",
            cycles=cycles, l1_misses=l1, l2_misses=l2, ns=ns,
        )
        for index, (cycles, l1, l2, ns) in enumerate(rows)
    ]  # fmt: skip
    found = fit(observations, MHZ)
    assert (values(found) >= 0).all()
    assert values(found).any()
    assert np.isfinite(found.errors).all()
    for each in found.coefficients.values():
        assert 0 <= each.low <= each.high


@given(SEEDS, COSTS, st.floats(0.01, 100))
def test_units_do_not_matter(seed, costs, factor):
    """Cycles are those of a clock: that of another one, or nanoseconds of another length, only scale them."""
    observations = observed(counts_of_files(seed), costs, noise=0.03, seed=seed)
    longer = [each.model_copy(update={"ns": factor * each.ns}) for each in observations]
    finer = [each.model_copy(update={"cycles": factor * each.cycles}) for each in observations]
    found = fit(observations, MHZ)
    for other in (fit(observations, factor * MHZ), fit(longer, MHZ)):
        assert values(other) == pytest.approx(factor * values(found), rel=1e-6, abs=1e-9)
        assert other.errors == pytest.approx(found.errors, abs=1e-8)
    scaled = fit(finer, MHZ)
    assert values(scaled) == pytest.approx(values(found) / (factor, 1, 1), rel=1e-6, abs=1e-9)
    assert scaled.errors == pytest.approx(found.errors, abs=1e-8)


@given(SEEDS, st.floats(0.5, 3))
def test_what_goes_with_the_rest_is_not_told_apart(seed, cost):
    """Misses that are one in a hundred cycles everywhere: cycles of all can be told, and not what each costs."""
    counted = counts_of_files(seed)
    counted[:, 0] = 100 * counted[:, 1] + 100
    counted[:, 1:] = counted[:, :1] / 100
    observations = observed(counted, (cost, 20, 0))
    found = fit(observations, MHZ)
    assert max(found.errors) < 0.01
    assert (values(found) == 0).any()


def test_files_count_alike_whatever_their_size():
    """A large file that is off by a tenth moves nothing that small ones agree on."""
    counted = counts_of_files(0, 24)
    observations = observed(counted, (2, 10, 100))
    largest = int(np.argmax([each.ns for each in observations]))
    observations[largest] = observations[largest].model_copy(update={"ns": 1.1 * observations[largest].ns})
    assert values(fit(observations, MHZ)) == pytest.approx((2, 10, 100), rel=0.1)


def test_too_few_files_and_files_twice_are_refused():
    observations = observed(counts_of_files(0, FEWEST), (1, 1, 1))
    fit(observations, MHZ)
    with pytest.raises(BenchInputError, match="7 files: a calibration takes at least 8"):
        fit(observations[:-1], MHZ)
    with pytest.raises(BenchInputError, match="takes every file once"):
        fit([*observations, observations[0]], MHZ)


# -- of results --


@pytest.fixture
def measured(entry, results):
    """Makes results of files on a board and on the emulated CPU; `change` of the entries there and here."""

    def measured(costs=(2, 10, 100), count=10, there=lambda index: {}, here=lambda index: {}):
        counted = counts_of_files(0, count)
        boards, emulated = [], []
        for index, each in enumerate(observed(counted, costs)):
            name = {"name": each.model, "sha256": each.sha256}
            options = {"samples": [round(each.ns)] * 3, "device": "ssh://pi@board"}
            boards.append(entry(**name | options | there(index)))
            counts = Counts(
                cpu="cortex-a72", instructions=1, loads=0, stores=0, bytes_loaded=0, bytes_stored=0,
                l1_misses=each.l1_misses, l2_misses=each.l2_misses, cycles=(each.cycles, 9 * each.cycles),
                cycle_model="LLVM 19 cortex-a72",
            )  # fmt: skip
            options = {"device": "arm64:cortex-a72", "emulated": True, "counts": counts}
            emulated.append(entry(samples=(), **name | options | here(index)))
        return results(*boards, cpu="A Board"), results(*emulated, cpu="cortex-a72")

    return measured


def calibrated(pair):
    return calibration_of(*pair, board="board", cpu="cortex-a72", mhz=MHZ)


def test_a_calibration_says_what_it_is_of(measured):
    found = calibrated(measured())
    assert [each.value for each in found.coefficients.values()] == pytest.approx([2, 10, 100], rel=1e-3)
    assert (found.board, found.board_cpu, found.cpu, found.mhz) == ("board", "A Board", "cortex-a72", MHZ)
    assert found.runtimes == found.counted_runtimes == {"onnxruntime": "onnxruntime 1"}
    assert found.cycle_model == "LLVM 19 cortex-a72"
    assert len(found.observations) == 10
    assert found.median_error <= found.largest_error < 1e-4
    assert found.flags == ()


def test_what_failed_or_drifted_is_left_out_and_said(measured):
    failure = Failure(kind="memory", message="out of memory")
    drift = Flag(flag="drift", reason="the last quarter is +9% against the first", remedy="cool the device")
    noisy = Flag(flag="noisy", reason="it spreads", remedy="stop other work")
    there = {0: {"failure": failure}, 2: {"flags": (drift,)}, 3: {"flags": (noisy,)}, 4: {"flags": (noisy,)}}
    found = calibrated(measured(count=12, there=lambda index: there.get(index, {}), here=lambda index: {}))
    assert [each.model for each in found.observations] == ["model 1", *(f"model {index}" for index in range(3, 12))]
    assert [(flag.flag, flag.reason) for flag in found.flags] == [
        ("left-out", "model 0, model 0.onnx is left out: on ssh://pi@board, out of memory"),
        ("left-out", "model 2, model 2.onnx is left out: the last quarter is +9% against the first"),
        ("noisy", "model 3, model 3.onnx: it spreads"),
    ]


def test_too_few_that_remain_are_refused(measured):
    uncounted = {"counts": None, "flags": (Flag(flag="not-counted", reason="no plugins", remedy="another QEMU"),)}
    with pytest.raises(DeviceError, match=r"board: 7 files were .*at least 8; model 0, .* is left out: no plugins$"):
        calibrated(measured(here=lambda index: uncounted if index < 3 else {}))
    with pytest.raises(DeviceError, match=r"board: 1 files were measured and counted, of at least 8$"):
        calibrated(measured(there=lambda index: {"sha256": "0" * 64}, here=lambda index: {"sha256": "0" * 64}))


def test_a_clock_that_is_not_told_is_said_and_makes_no_difference_to_milliseconds(measured):
    pair = measured()
    told, other = calibrated(pair), calibration_of(*pair, board="board", cpu="cortex-a72", mhz=3 * MHZ, told=False)
    assert [flag.flag for flag in other.flags if flag not in told.flags] == ["clock-untold"]
    assert other.largest_error == pytest.approx(told.largest_error)
    for words, each in told.coefficients.items():
        assert other.coefficients[words].value == pytest.approx(3 * each.value)


def test_other_versions_on_the_board_are_said(measured):
    older = RuntimeInfo(name="onnxruntime", package="onnxruntime", version="0.9", kernels="CPU", threads=1)
    (flag,) = calibrated(measured(there=lambda index: {"runtime": older})).flags
    assert flag.flag == "other-runtime"
    assert flag.reason == "the board has onnxruntime 0.9, and onnxruntime 1 was counted: their kernels may differ"


@pytest.mark.parametrize(
    ("costs", "unknown"),
    [((2, 10, 0), ["L2 misses"]), ((2, 0, 0), ["L1 misses", "L2 misses"]), ((0, 10, 0), ["cycles", "L2 misses"])],
)
def test_what_has_no_effect_is_said(measured, costs, unknown):
    flags = calibrated(measured(costs=costs)).flags
    assert {flag.flag for flag in flags} == {"undetermined"}
    assert [flag.reason.partition(" cost is not known")[0] for flag in flags] == [f"what {words}" for words in unknown]


def test_what_depends_on_one_file_is_said():
    """Only one file misses the second cache, so that without it nothing is known."""
    counted = counts_of_files(0, 10)
    counted[1:, 2] = 0
    found = fit(observed(counted, (2, 10, 100)), MHZ).coefficients["l2_misses"]
    assert (found.low, found.value, found.high) == pytest.approx((0, 100, 100), rel=1e-3, abs=1e-6)


def test_a_fit_that_is_far_off_says_so(measured):
    chance = np.random.default_rng(1)
    there, here = measured(there=lambda index: {"samples": [round(float(10 ** chance.uniform(5, 8)))] * 3})
    found = calibrated((there, here))
    assert found.largest_error > 0.2
    assert "inaccurate" in [flag.flag for flag in found.flags]


# -- the file --


def test_a_file_is_read_as_it_was_written(measured, tmp_path):
    path = tmp_path / "board.calibration.json"
    found = calibrated(measured())
    save(found, path)
    assert load(path) == found
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "schema_version: Input should be 1"),
        ({"mhz": 0}, "mhz: Input should be greater than or equal to 1"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
        ({"observations": []}, "observations: Tuple should have at least 8 items"),
        ({"cycles": {"value": -1, "low": 0, "high": 0}}, "cycles.value: Input should be greater than or equal to 0"),
        ({"largest_error": float("inf")}, "largest_error: Input should be a finite number"),
        (None, "it: Input should be an object"),
    ],
)
def test_what_is_no_calibration_is_refused_by_its_name(measured, tmp_path, change, said):
    path = tmp_path / "board.calibration.json"
    save(calibrated(measured()), path)
    path.write_text(json.dumps([] if change is None else json.loads(path.read_text()) | change))
    with pytest.raises(BenchInputError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: not a calibration file: {said}")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "board.calibration.json"
    with pytest.raises(BenchInputError, match=r"board\.calibration\.json: cannot be read \(No such file"):
        load(path)
    path.write_bytes(b"\xff{")
    with pytest.raises(BenchInputError, match="not a calibration file: it: Invalid JSON"):
        load(path)
    with path.open("wb") as file:
        file.truncate(2**25)
    with pytest.raises(BenchInputError, match="larger than 16 MiB"):
        load(path)


def test_changed_files_are_read_or_refused_and_what_is_read_estimates(measured, tmp_path):
    path = tmp_path / "board.calibration.json"
    pair = measured()
    save(calibrated(pair), path)
    good, chance = path.read_bytes(), random.Random(0)
    refused = []
    for _ in range(400):
        path.write_bytes(chance.choice((lambda: of_bytes([good], chance), lambda: of_json(good, chance)))())
        try:
            for entry in with_estimates(pair[1], load(path)).entries:
                assert entry.counts.estimate is None or entry.counts.estimate.ns > 0
        except BenchInputError as error:
            refused.append(str(error))
    assert 100 < len(refused) < 400
    assert not any("\n" in line for line in refused)
