"""What a report says of results: its headline, its sections, and what is left out."""

import pytest

from runtime_bench.errors import BenchInputError
from runtime_bench.report.contents import contents
from runtime_bench.results import Failure


def headline(*results, **options):
    (found,) = contents(results, **options).headlines
    return found


def facts(found):
    return {fact.name: fact for fact in found.facts}


def sections(report):
    return {section.name: section for section in report.sections}


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_the_headline_of_one_compressed_model(full):
    found = headline(full())
    assert found.says == "falcon is 5.0 times as fast as standard"
    assert found.place == "local (x86_64, a CPU)"
    speed = facts(found)["Speedup"]
    assert (speed.figure, speed.low, speed.high) == ("5.00x", 5.0, 5.0)
    assert "95% interval" in speed.says
    assert "10.00x fewer MACs, of which 50% became speed" in speed.says
    assert facts(found)["Top-1"].figure == "85.00%"
    assert "the standard 90.00%, and the intervals overlap" in facts(found)["Top-1"].says
    assert facts(found)["Certainty"].figure == "2 of 2 doubtful"
    assert "flagged: noisy" in facts(found)["Certainty"].says


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        ((200, 210, 220) * 20, "falcon is slower than standard: an inference takes 1.91 times as long"),
        ((100, 110, 120) * 20, "No difference in speed between falcon and standard could be shown"),
        ((95, 100, 101) * 20, "falcon is 1.10 times as fast as standard"),
    ],
)
def test_what_is_not_faster_is_not_called_so(entry, compressed, results, samples, says):
    assert headline(results(entry(samples=(100, 110, 120) * 20), compressed(samples=samples))).says == says


def test_several_comparisons_are_told_as_a_range_or_counted(entry, compressed, results):
    standards = entry(samples=(100,) * 9), entry(samples=(100,) * 9, precision="int8")
    both = results(*standards, compressed(samples=(20,) * 9), compressed(samples=(40,) * 9, precision="int8"))
    assert headline(both).says == "falcon is 2.5 to 5.0 times as fast as standard"
    mixed = results(*standards, compressed(samples=(20,) * 9), compressed(samples=(200,) * 9, precision="int8"))
    assert headline(mixed).says == "falcon is faster than standard in 1 of 2 comparisons, slower in 1"
    two = results(standards[0], compressed("one", (20,) * 9), compressed("two", (50,) * 9))
    assert headline(two).says == "2 models are 2.0 to 5.0 times as fast as standard"


def test_an_emulated_cpu_has_no_latency(emulated):
    report = contents([emulated()])
    (found,) = report.headlines
    assert found.says == "standard executes 6.0 times the instructions of falcon, emulated"
    assert "emulated" in found.place
    assert "Speedup" not in facts(found)
    assert facts(found)["Fewer instructions"].figure == "6.00x"
    assert {"latency"}.isdisjoint(sections(report))
    assert sections(report)["emulation"].figures[0].name == "instructions"
    titles = " ".join(section.title for section in report.sections).lower()
    assert "instructions against macs ratio" in titles
    assert not {"latency", "speedup"} & set(titles.split())
    columns = [column for section in report.sections for table in section.tables for column in table.columns]
    assert {"p50", "speedup", "realised share"}.isdisjoint(columns)
    plots = [figure.name for section in report.sections for figure in section.figures]
    assert {"speedups", "distributions", "trade"}.isdisjoint(plots)


def test_devices_side_by_side_are_compared_each_within_itself(full, emulated, entry, compressed, results):
    fast = results(entry(samples=(10,) * 9), compressed(samples=(5,) * 9), cpu="another CPU")
    report = contents([full(), fast, emulated()])
    assert [found.says for found in report.headlines] == [
        "falcon is 5.0 times as fast as standard",
        "falcon is 2.0 times as fast as standard",
        "standard executes 6.0 times the instructions of falcon, emulated",
    ]
    table = sections(report)["comparison"].tables[0]
    assert table.columns[:3] == ("model", "results", "device")
    assert {row[2].text for row in table.rows} == {
        "local (x86_64, a CPU)", "local (x86_64, another CPU)", "arm64:cortex-a53 (x86_64, Cortex-A53, emulated)",
    }  # fmt: skip
    two = sections(contents([full(), emulated()]))["comparison"].tables[0]
    assert {row[2].text for row in two.rows} == {"local", "arm64:cortex-a53"}
    speeds, _ = sections(report)["comparison"].figures[0].data
    assert speeds["x"] == [5.0, 2.0]


def test_two_runs_on_one_machine_are_told_apart(full):
    table = sections(contents([full(), full()]))["comparison"].tables[0]
    assert table.columns[:2] == ("model", "results")
    assert [row[:2] for row in texts(table)] == [["standard", "1"], ["falcon", "1"], ["standard", "2"], ["falcon", "2"]]


def test_everything_has_its_section(full):
    found = sections(contents([full()]))
    assert list(found) == [
        "comparison", "latency", "layers", "quality", "memory", "validity", "environment", "lineage",
    ]  # fmt: skip
    plots = [figure.name for section in found.values() for figure in section.figures]
    assert plots == ["speedups", "distributions", "layers-1", "roofline-1", "trade", "memory"]
    assert texts(found["validity"].tables[0]) == [["noisy", "it spreads", "all 2", "stop other work"]]
    hindrances, layers = found["layers"].tables
    assert {row[0] for row in texts(hindrances)} == {"falcon"}
    assert layers.folded
    assert len(layers.rows) == 5


def test_what_was_not_measured_is_left_out_or_said(entry, compressed, results):
    report = contents([results(entry(), compressed())])
    found = sections(report)
    assert {"layers", "accuracy", "emulation"}.isdisjoint(found)
    assert found["validity"].says == "No figure was flagged as doubtful."
    assert "Energy was not measured" in found["latency"].says
    assert facts(report.headlines[0])["Quality"].figure == "not measured"
    assert [table.title for table in found["memory"].tables] == ["File and resident memory"]


def test_without_a_standard_there_are_no_speedups(compressed, results):
    report = contents([results(compressed())])
    assert report.headlines[0].says == "1 model file measured, without a standard to compare with"
    assert "named as the baseline" in report.notes[0]
    assert sections(report)["comparison"].figures == ()
    assert "speedup" not in sections(report)["comparison"].tables[0].columns


def test_a_baseline_by_name(entry, compressed, results):
    measured = results(entry(samples=(100,) * 9), entry("base", (60,) * 9, role=None, identity=None), compressed())
    says = headline(measured, baseline="base").says
    assert says == "2 models are faster than base in 1 of 2 comparisons, slower in 1"


def test_a_failed_model_is_told_with_its_reason(entry, compressed, results):
    failure = Failure(kind="signal", message="it was killed", signal="SIGKILL")
    report = contents([results(entry(), compressed(), compressed("broken", (), failure=failure))])
    assert report.notes == ("broken failed (signal): it was killed",)
    assert "1 failed" in facts(report.headlines[0])["Certainty"].says
    assert [row[0] for row in texts(sections(report)["comparison"].tables[0])] == ["standard", "falcon"]
    assert "broken" in [row[0] for row in texts(sections(report)["lineage"].tables[0])]


def test_where_all_failed_that_is_what_it_says(entry, results):
    failure = Failure(kind="timeout", message="it took too long")
    report = contents([results(entry(samples=(), failure=failure))])
    assert report.headlines[0].says == "Nothing could be measured"
    assert report.notes[-1] == "standard failed (timeout): it took too long"


def test_an_interrupted_run_is_called_one(full):
    assert "interrupted" in contents([full(interrupted=True)]).notes[0]


@pytest.mark.parametrize(
    ("options", "baseline", "says"),
    [
        ({}, "missing", "no model is called missing; there are falcon, standard"),
        ({"parent": "unknown"}, "standard", "standard is no baseline for falcon: it is the standard of other models"),
        ({"precision": "int8"}, "standard", "standard is no baseline for falcon"),
    ],
)
def test_a_baseline_for_another_model(entry, compressed, results, options, baseline, says):
    with pytest.raises(BenchInputError, match=says):
        contents([results(entry(), compressed(**options))], baseline=baseline)


def test_nothing_was_measured(entry, results):
    for entries in ((), (entry(samples=()),)):
        with pytest.raises(BenchInputError, match="nothing was measured"):
            contents([results(*entries)])
