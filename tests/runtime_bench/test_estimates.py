"""Milliseconds of emulated inferences by a board's calibration: what they are of, and when to doubt them."""

import pytest

from runtime_bench import units
from runtime_bench.calibration import Calibration, Coefficient, Observation
from runtime_bench.compare import beside_standards, compare
from runtime_bench.errors import BenchInputError
from runtime_bench.estimates import with_estimates
from runtime_bench.report import page
from runtime_bench.report.contents import contents
from runtime_bench.results import Counts, load, save


def coefficient(value):
    return Coefficient(value=value, low=value, high=value)


@pytest.fixture
def calibration():
    """Of files with 1 to 8 M cycles, 1,000 to 8,000 misses of L1 and none of L2."""
    return Calibration(
        created="2026-01-01T00:00:00+00:00",
        board="board",
        board_cpu=None,
        cpu="cortex-a72",
        mhz=2000,
        cycles=coefficient(2),
        l1_misses=coefficient(10),
        l2_misses=coefficient(100),
        median_error=0.02,
        largest_error=0.08,
        observations=tuple(
            Observation(
                model="m", file="f", sha256=str(index), runtime="onnxruntime",
                cycles=1e6 * index, l1_misses=1000 * index, l2_misses=0, ns=1000,
            )
            for index in range(1, 9)
        ),
        runtimes={"onnxruntime": "onnxruntime 1"},
        counted_runtimes={"onnxruntime": "onnxruntime 1"},
        cycle_model="LLVM",
    )  # fmt: skip


@pytest.fixture
def counted(entry, results):
    """Makes results of one emulated file."""

    def counted(cycles=4e6, l1_misses=4000, l2_misses=100, *, cpu="cortex-a72", model="LLVM"):
        counts = Counts(
            cpu=cpu, instructions=1, loads=0, stores=0, bytes_loaded=0, bytes_stored=0, l1_misses=l1_misses,
            l2_misses=l2_misses, cycles=None if cycles is None else (cycles, 2 * cycles), cycle_model=model,
        )  # fmt: skip
        return results(entry(samples=(), device="arm64:cortex-a72", emulated=True, counts=counts))

    return counted


def test_an_estimate_is_the_sum_at_the_clock_of_the_board(counted, calibration):
    (entry,) = with_estimates(counted(), calibration).entries
    found = entry.counts.estimate
    assert found.ns == (2 * 4e6 + 10 * 4000 + 100 * 100) / 2  # 2 cycles a nanosecond
    assert (found.board, found.median_error, found.largest_error) == ("board", 0.02, 0.08)
    assert units.estimate(found) == "4.025 ms ± 8%"
    assert (entry.summary, entry.load_ns, entry.flags) == (None, None, ())


@pytest.mark.parametrize(
    ("counts", "flag", "reason"),
    [
        ({"cycles": 17e6}, "extrapolated", "17,000,000 cycles, and the calibration is of 1,000,000 to 8,000,000"),
        ({"cycles": 0.4e6}, "extrapolated", "400,000 cycles, and the calibration is of 1,000,000 to 8,000,000"),
        ({"l1_misses": 20_000}, "extrapolated", "20,000 L1 misses, and the calibration is of 1,000 to 8,000"),
        ({"l2_misses": 2_000}, "extrapolated", "2,000 L2 misses, and the calibration is of 0 to 0"),
        ({"model": "other"}, "other-cycle-model", "its cycles are by other, and those of the calibration by LLVM"),
    ],
)
def test_what_an_estimate_is_doubted_for(counted, calibration, counts, flag, reason):
    (entry,) = with_estimates(counted(**counts), calibration).entries
    assert [(each.flag, each.reason) for each in entry.flags] == [(flag, reason)]


def test_other_versions_are_doubted(counted, calibration):
    older = calibration.model_copy(update={"counted_runtimes": {"onnxruntime": "onnxruntime 0", "litert": "lite 2"}})
    (entry,) = with_estimates(counted(), older).entries
    assert [flag.flag for flag in entry.flags] == ["other-runtime"]
    assert entry.flags[0].reason == "onnxruntime 1 ran, and the calibration is of onnxruntime 0 and lite 2"


def test_estimates_of_results_that_were_taken_over_are_made_anew(counted, calibration):
    once = with_estimates(counted(cycles=17e6), calibration)
    faster = calibration.model_copy(update={"board": "faster", "mhz": 4000})
    (before,), (after,) = once.entries, with_estimates(once, faster).entries
    assert after.counts.estimate.ns == before.counts.estimate.ns / 2
    assert after.counts.estimate.board == "faster"
    assert after.flags == before.flags


def test_without_cycles_there_is_no_estimate(counted, calibration):
    (entry,) = with_estimates(counted(cycles=None), calibration).entries
    assert entry.counts.estimate is None


def test_a_calibration_of_another_cpu_is_refused(counted, calibration):
    with pytest.raises(BenchInputError, match="the calibration of board is of cortex-a72, and not of cortex-a76"):
        with_estimates(counted(cpu="cortex-a76"), calibration)


@pytest.mark.parametrize(("error", "shown"), [(0.0, "± 0%"), (0.0001, "± 1%"), (0.07, "± 7%"), (1.234, "± 124%")])
def test_an_error_is_never_shown_smaller_than_it_is(counted, calibration, error, shown):
    (entry,) = with_estimates(counted(), calibration.model_copy(update={"largest_error": error})).entries
    assert units.margin(entry.counts.estimate) == shown


def test_an_estimate_stands_in_results_and_in_the_report_and_is_no_latency(counted, calibration, tmp_path):
    results = with_estimates(counted(), calibration)
    save(results, tmp_path / "results.json")
    assert load(tmp_path / "results.json") == results
    html = page.html(contents([results]))
    assert "estimated ms (board, ± error)" in html
    assert "4.025 (board, ± 8%)" in html
    (row,) = beside_standards([results])
    assert (row.standard, row.speedup) == (row.entry, None)


def test_compare_still_refuses_to_mix_it_with_what_was_measured(counted, calibration, entry, results):
    mixture = [with_estimates(counted(), calibration), results(entry("compressed", parent="standard"))]
    with pytest.raises(BenchInputError, match=r"these results differ in emulation \(False and True\)"):
        compare(mixture, across=("device", "machine"))
