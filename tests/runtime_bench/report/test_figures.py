"""The plots: what is in them, and how much of it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_bench.report import figures, marks
from runtime_bench.report.entries import shown_entries
from runtime_bench.results import Memory

HOSTILE = "</script><img src=x onerror=alert(1)>"


def size(figure):
    return len(json.dumps([figure.data, figure.layout]))


def first_trade(entries):
    return figures.trades(entries)[0] if figures.trades(entries) else None


def test_ten_thousand_samples_are_not_ten_thousand_points(entry, compressed, results):
    random = np.random.default_rng(0)
    few, many = (
        figures.distributions(
            shown_entries(
                [results(*(make(samples=random.integers(100, 120, count).tolist()) for make in (entry, compressed)))]
            )
        )
        for count in (50, 10_000)
    )
    assert size(many) < 1.2 * size(few) < 20_000


def test_a_distribution_is_around_its_median_and_what_is_beyond_is_counted(entry, results):
    figure = figures.distributions(shown_entries([results(entry(samples=(100,) * 90 + (1000,) * 10))]))
    ridge = figure.data[0]
    heights = dict(zip(ridge["x"], ridge["y"], strict=True))
    base = max(ridge["y"])
    assert min(heights.values()) == pytest.approx(base - figures.RIDGE)  # at the median
    assert ridge["y"][-2] == pytest.approx(base - figures.RIDGE / 9)  # a ninth as many at the edge


def test_speedups_have_their_interval_and_macs_ratio(full):
    figure = figures.speedups(shown_entries([full()]))
    speed, promised = figure.data
    assert (speed["x"], promised["x"]) == ([5.0], [10.0])
    assert speed["error_x"]["array"][0] >= 0
    assert speed["error_x"]["arrayminus"][0] >= 0
    low, high = (10**end for end in figure.layout["xaxis"]["range"])
    assert low < 1
    assert high > 10


def test_layers_stand_beside_those_of_the_standard(full):
    _, falcon = shown_entries([full()])
    figure = figures.layers(1, falcon)
    bars = {trace["name"]: list(zip(trace["base"], trace["x"], strict=True)) for trace in figure.data}
    assert bars == {
        "standard": [(0.0, 0.1), (0.0, 0.3)],
        "pointwise": [(0.0, 0.03)],
        "depthwise": [(0.03, 0.01)],
        "other": [(0.0, 0.02)],
    }
    assert [label.strip() for label in figure.layout["yaxis"]["ticktext"]] == ["a", "b"]


def test_the_roof_is_what_the_device_reaches(full):
    results = full()
    figure = figures.roofline(1, results.peaks, shown_entries([results]))
    roof = figure.data[0]
    assert roof["y"][1:] == [10.0, 10.0]  # GMAC/s
    assert roof["x"][1] == 10.0  # MACs a byte
    assert sum(len(trace["x"]) for trace in figure.data[1:]) == 5


def test_memory_is_stacked_and_never_negative(entry, results):
    memory = Memory(bare=None, before_load=20_000_000, after_load=15_000_000, peak=30_000_000)
    figure = figures.memory(shown_entries([results(entry(memory=memory))]))
    assert [(trace["name"], trace["base"], trace["x"]) for trace in figure.data] == [
        ("the process and the runtime", [0.0], [20.0]),
        ("its inferences, at the peak", [20.0], [10.0]),
    ]


@pytest.mark.parametrize("make", [figures.speedups, figures.distributions, first_trade, figures.memory])
def test_without_figures_there_is_no_plot(entry, results, make):
    failed = entry(samples=()).model_copy(update={"counts": None})
    assert make([each for each in shown_entries([results(entry(), failed)]) if each.entry.summary is None]) is None


def test_texts_are_no_markup(full):
    name = HOSTILE
    entries = [
        each.model_copy(update={"model": each.model.model_copy(update={"name": name})}) for each in full().entries
    ]
    found = shown_entries([full(entries=tuple(entries))])
    made = [make(found) for make in (figures.speedups, figures.distributions, first_trade, figures.memory)]
    for figure in [*made, figures.layers(1, found[1]), figures.roofline(1, full().peaks, found)]:
        text = json.dumps([figure.data, figure.layout])
        assert "<img" not in text
        assert "&lt;img" in text or figure.name.startswith("layers")


def test_labels_tell_entries_apart(entry, results):
    long = "n" * 100
    found = shown_entries([results(entry(), entry(), entry(long), entry(long))])
    labels = [each.label for each in found]
    assert len(set(labels)) == 4
    assert all(len(label) < 70 for label in labels)


def test_devices_are_named_however_long_the_names_are(compressed, entry, results):
    devices = [f"ssh://user@{'board-' * 12}{name}" for name in ("one", "two", "three")]
    names = [f"{'network_' * 20}{name}" for name in ("standard", "falcon")]
    entries = [
        make(name, precision="int8", device=device)
        for device in devices
        for make, name in ((entry, names[0]), (compressed, names[1]))
    ]
    found = shown_entries([results(*entries)])
    labels = [each.label for each in found]
    assert len(set(labels)) == 6
    for label, made in zip(labels, found, strict=True):
        assert label.startswith("network_network")
        assert "ssh://user@board" in label
        assert label.endswith(made.entry.device.rpartition("-")[2])
        assert "#" not in label
    assert figures.distributions(found).layout["yaxis"]["ticktext"] == labels


@given(st.floats(1e-6, 1e9), st.floats(1.0, 1e9))
def test_a_logarithmic_axis_shows_its_range_in_a_few_ticks(low, factor):
    axis = marks.logarithmic(low, low * factor)
    first, last = (10**end for end in axis["range"])
    assert first < low
    assert last > low * factor * (1 - 1e-5)
    assert 2 <= len(axis["tickvals"]) <= 22
    assert all(0.999 * first <= tick <= 1.001 * last for tick in axis["tickvals"])
    assert axis["tickvals"] == sorted(axis["tickvals"])


def test_ticks_are_numbers_that_are_read_as_such():
    assert marks.logarithmic(1386, 7570)["ticktext"][0] == "2000"
    ticks = marks.logarithmic(104_000, 565_000, " a")["ticktext"]
    assert ticks == ["0.1 M a", "0.2 M a", "0.3 M a", "0.4 M a", "0.5 M a", "0.6 M a"]
    assert marks.logarithmic(9_000, 400_000_000)["ticktext"][-1] == "100 M"


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("/features/features.4/Conv_output_0", "features.4/Conv"),
        ("/layer1/layer1.0/conv1/Conv_output_0.dequantized", "layer1.0/conv1/Conv.dequantized"),
        ("logits", "logits"),
        ("x" * 50, "…" + "x" * 31),
    ],
)
def test_tensors_go_by_the_end_of_their_name(name, short):
    assert marks.tensor(name) == short
