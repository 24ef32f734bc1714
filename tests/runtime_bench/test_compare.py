"""Compressed beside standard: which entries belong together, and their ratios."""

import pytest

from runtime_bench.compare import beside_standards, compare
from runtime_bench.errors import BenchInputError
from runtime_bench.results import Counts

MOVED = ("loads", "stores", "bytes_loaded", "bytes_stored")


@pytest.fixture(scope="module")
def compressed(entry):
    def compressed(samples=(20, 22, 24), **options):
        model = {"role": "compressed", "identity": "compressed", "parent": "standard", "macs": 100}
        return entry(options.pop("name", "compressed"), samples, **{**model, **options})

    return compressed


def figures(row):
    return row.speedup, row.macs_ratio, row.realised_share


def test_speedup_macs_ratio_and_the_share_of_it_that_became_speed(entry, compressed, results):
    standard, falcon = compare([results(entry(samples=(90, 110, 300)), compressed())])
    assert figures(standard) == (1.0, 1.0, 1.0)
    assert falcon.standard is standard.entry
    assert figures(falcon) == (5.0, 10.0, 0.5)


def test_where_nothing_was_promised_no_share_of_it_is_told(entry, compressed, results):
    _, dearer = compare([results(entry(), compressed(macs=2000))])
    assert dearer.macs_ratio == 0.5
    assert dearer.speedup is not None
    assert dearer.realised_share is None


def test_the_interval_of_the_speedup_holds_it(entry, compressed, results):
    standard, falcon = compare([results(entry(samples=(90, 110, 130) * 9), compressed(samples=(20, 22, 24) * 9))])
    assert standard.speedup_interval == (1.0, 1.0)
    low, high = falcon.speedup_interval
    assert 90 / 24 <= low <= falcon.speedup == 5.0 <= high <= 130 / 20
    assert low < high


def test_a_sweep_over_threads_compares_like_with_like(entry, compressed, results):
    entries = [entry(samples=(100,)), entry(samples=(60,), threads=2), compressed((10,), threads=2), compressed((20,))]
    assert [row.speedup for row in compare([results(*entries)])] == [1.0, 1.0, 6.0, 5.0]


def test_across_precision_the_fp32_standard_is_the_one(entry, compressed, results):
    entries = [entry(samples=(40,), precision="int8"), entry(samples=(100,)), compressed((10,), precision="int8")]
    rows = compare([results(*entries)], across=["precision"])
    assert [row.speedup for row in rows] == [2.5, 1.0, 10.0]


@pytest.mark.parametrize(("options", "what"), [({"threads": 2}, "threads"), ({"device": "arm64"}, "device")])
def test_mixtures_are_compared_where_that_is_asked_for(entry, compressed, results, options, what):
    row = compare([results(entry(samples=(100,)), compressed((20,), **options))], across=[what])[1]
    assert row.speedup == 5.0


def test_across_something_else(entry, compressed, results):
    with pytest.raises(BenchInputError, match="weather: models can be compared across machine"):
        compare([results(entry(), compressed())], across=["weather"])


def test_lineage_keeps_formats_and_precisions_apart(entry, compressed, results):
    entries = [
        entry(samples=(100,)),
        entry(samples=(200,), target="tflite"),
        entry(samples=(300,), precision="int8"),
        compressed((10,), target="tflite"),
        compressed((10,), precision="int8"),
        compressed((10,)),
        compressed((10,), target="ort"),
    ]
    rows = compare([results(*entries)])
    assert [row.speedup for row in rows] == [1.0, 1.0, 1.0, 20.0, 30.0, 10.0, None]
    assert rows[-1].standard is None


def test_lineage_goes_by_weights_and_not_by_names(entry, compressed, results):
    rows = compare([results(entry(identity="other"), entry("twin"), compressed(parent="twin"))])
    assert rows[2].standard.model.name == "twin"


def test_models_without_lineage_do_not_belong_together(entry, compressed, results):
    nameless = {"identity": None, "parent": None}
    with pytest.raises(BenchInputError, match="`baseline`"):
        compare([results(entry(**nameless), compressed(**nameless), entry("third", role=None, **nameless))])


def test_a_baseline_by_name_goes_before_lineage(entry, compressed, results):
    entries = [entry(samples=(100,)), entry("base", (60,), role=None, identity=None), compressed((20,))]
    rows = compare([results(*entries)], baseline="base")
    assert [row.standard.model.name for row in rows] == ["base"] * 3
    assert [row.speedup for row in rows] == [0.6, 1.0, 3.0]


def test_a_baseline_by_identity_is_one_of_two_of_the_same_name(entry, compressed, results):
    entries = [entry(samples=(100,), identity="a"), entry(samples=(60,), identity="b"), compressed((20,), parent=None)]
    assert compare([results(*entries)], baseline="b")[2].speedup == 3.0
    assert compare([results(*entries)], baseline="a")[2].speedup == 5.0


def test_a_baseline_that_is_not_there(entry, compressed, results):
    with pytest.raises(BenchInputError, match="no model is called base; there are compressed, standard"):
        compare([results(entry(), compressed())], baseline="base")


def test_the_standard_of_the_same_run_goes_before_one_of_another(entry, compressed, results):
    first, second = results(entry(samples=(100,)), compressed((10,))), results(entry(samples=(400,)), compressed((10,)))
    assert [row.speedup for row in compare([first, second])] == [1.0, 10.0, 1.0, 40.0]
    assert [row.speedup for row in compare([first, results(compressed((5,)))])] == [1.0, 10.0, 20.0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"macs": None}, (5.0, None, None)),
        ({"samples": ()}, (None, 10.0, None)),
    ],
)
def test_figures_that_cannot_be_told_are_none(entry, compressed, results, options, expected):
    assert figures(compare([results(entry(), compressed(**options))])[1]) == expected


def test_a_standard_that_failed_leaves_the_macs_ratio(entry, compressed, results):
    assert figures(compare([results(entry(samples=()), compressed())])[1]) == (None, 10.0, None)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"threads": 2}, r"threads \(1 and 2\)"),
        ({"device": "arm64"}, r"device \(arm64 and local\)"),
        ({"emulated": True}, r"emulation \(False and True\)"),
    ],
)
def test_mixtures_are_refused(entry, compressed, results, options, what):
    with pytest.raises(BenchInputError, match=f"differ in {what}; measure them alike"):
        compare([results(entry(), compressed(**options))])


def test_two_machines_are_not_compared_because_both_are_called_local(entry, compressed, results):
    with pytest.raises(BenchInputError, match=r"differ in machine \(x86_64, a CPU and x86_64, another CPU\)"):
        compare([results(entry()), results(compressed(), cpu="another CPU")])


def test_nothing_to_compare_with(entry, compressed, results):
    for entries in ((entry(),), (compressed(),), (entry(), compressed(parent="unknown"))):
        with pytest.raises(BenchInputError, match="nothing to compare with"):
            compare([results(*entries)])


def test_nothing_was_measured(entry, compressed, results):
    for entries in ((), (entry(samples=()), compressed(samples=()))):
        with pytest.raises(BenchInputError, match="nothing was measured: these results have no samples"):
            compare([results(*entries)])


def test_a_baseline_for_another_model(entry, compressed, results):
    entries = [entry("other"), compressed()]
    with pytest.raises(BenchInputError, match="other is no baseline for compressed: it is the standard of other"):
        compare([results(*entries)], baseline="other")


def test_a_baseline_may_come_from_the_same_standard(entry, compressed, results):
    entries = [compressed(name="rank 2", samples=(30,), identity="rank 2"), compressed((20,))]
    assert [row.speedup for row in compare([results(*entries)], baseline="rank 2")] == [1.0, 1.5]


def test_of_emulated_entries_instructions_are_compared_and_times_are_not(entry, compressed, results):
    def counted(instructions):
        return {"emulated": True, "counts": Counts(cpu="a53", instructions=instructions, **dict.fromkeys(MOVED, 0))}

    row = compare([results(entry(**counted(600)), compressed(**counted(100)))])[1]
    assert (row.instructions_ratio, *figures(row)) == (6.0, None, 10.0, None)


def test_what_may_be_a_mixture_is_compared_with_what_is_like_it(entry, compressed, results):
    slow, fast = results(entry(samples=(100,)), compressed((20,))), results(compressed((5,)), cpu="another CPU")
    rows = beside_standards([slow, fast, results(compressed((10,)))])
    assert [row.speedup for row in rows] == [1.0, 5.0, None, 10.0]
