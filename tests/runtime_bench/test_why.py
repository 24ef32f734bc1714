"""What holds a model back, in words, the most costly first."""

import pytest

from runtime_bench.results import Call, Layer, Peaks, Profile
from runtime_bench.why import attainable_ns, cold_cost, hindrances, paces_of, peak_share, sections

PEAKS = Peaks(macs_per_second={"fp32": 1e9, "int8": 4e9}, bytes_per_second=1e9)  # 1 MAC and 1 byte a nanosecond


CALL = Call(ns=10, cold_ns=60)


def layer(form, output, ns, macs=0, moved=0, **options):
    values = {"operators": (form or "Add",), "dtype": "float32", "shape": (1, 8, 4, 4), "form": form} | options
    return Layer(output=output, ns=ns, macs=macs, bytes=moved, **values)


@pytest.fixture
def profiled(entry):
    def profiled(*layers, name="falcon", remainder=0.0, longer=None, call=CALL, **options):
        apart = None if longer is None else "cold"
        profile = Profile(
            method="runtime", layers=layers, remainder_ns=remainder, apart=apart, longer_ns=longer, call=call
        )
        return entry(name, profile=profile, **options)

    return profiled


@pytest.fixture
def pair(profiled):
    """Two convolutions, the second of which was replaced: 8 times fewer MACs, twice as fast."""
    stem = layer("standard", "a", 100, 128, channels=(1, 8))
    pool = layer(None, "b", 20, moved=10)
    one = profiled(stem, pool, layer("standard", "c", 800, 8 * 8 * 9 * 16, channels=(8, 8)), name="standard")
    parts = layer("pointwise", "p", 100, 1024), layer("depthwise", "c", 300, 128, moved=60)
    return one, profiled(stem, pool, *parts, remainder=80)


def test_layers_stand_beside_those_that_lead_to_the_same_tensor(pair):
    found = sections(*pair)
    assert [section.output for section in found] == ["a", "b", "c"]
    assert [len(section.compressed) for section in found] == [1, 1, 2]
    assert [section.speedup for section in found] == [1, 1, 2]
    assert found[2].macs_ratio == 8 * 8 * 9 * 16 / 1152
    assert found[1].macs_ratio is None


def test_forms_allow_what_the_best_layers_of_them_reach(pair, profiled):
    paces = paces_of([*pair, profiled(layer("depthwise", "d", 10, 64), name="fast")])
    found = sections(*pair)[2]
    assert paces["depthwise", "fp32"] == 6.4
    assert found.bound(paces) == pytest.approx(800 / (100 + 128 / 6.4))
    assert found.bound({}) == found.speedup
    assert sections(*pair)[1].bound(paces) == 1  # a pool is as fast as it is


def test_every_layer_stands_somewhere_whatever_is_in_common(profiled):
    one = profiled(*(layer("standard", name, 1) for name in "abcd"))
    for names in ("wxyz", "dcba", "b", "abcdef", "axcy"):
        other = profiled(*(layer("standard", name, 1) for name in names))
        found = sections(one, other)
        assert [part.output for section in found for part in section.standard] == list("abcd")
        assert [part.output for section in found for part in section.compressed] == list(names)


def test_what_is_attainable_is_bound_by_compute_or_by_memory():
    assert attainable_ns(layer("dense", "a", 1, macs=50, moved=20), PEAKS) == 50
    assert attainable_ns(layer("dense", "a", 1, macs=50, moved=70), PEAKS) == 70
    assert attainable_ns(layer("dense", "a", 1, macs=400, moved=70, dtype="int8"), PEAKS) == 100
    assert peak_share([layer("dense", "a", 200, macs=50)], PEAKS) == 0.25


def test_the_most_costly_is_named_first_with_its_gain(pair):
    found = hindrances(pair[1], PEAKS, pair[0])
    assert [each.kind for each in found] == ["depthwise", "overhead", "other operators"]
    assert found[0].gain == pytest.approx((300 - 128) / 600)
    assert found[0].says.startswith("1 layer takes 50% of the time for 10% of the MACs, at 43% of the device's peak; ")
    assert found[1].gain == pytest.approx(80 / 600)
    assert sum(each.gain for each in found) <= 1


def test_a_kept_convolution_gains_what_the_replaced_ones_did(profiled):
    wide = layer("standard", "a", 600, 8 * 8 * 9 * 16, channels=(8, 8))
    one = profiled(wide, layer("standard", "c", 800, 9216, channels=(8, 8)), name="standard")
    other = profiled(wide, layer("pointwise", "p", 100, 1024), layer("depthwise", "c", 100, 100))
    kept = next(each for each in hindrances(other, PEAKS, one) if each.kind == "kept convolutions")
    assert kept.gain == pytest.approx(600 / 800 * 0.75)
    (alone, *_) = hindrances(one, PEAKS)
    assert alone.kind == "kept convolutions"
    assert alone.gain == pytest.approx(1 - (8 + 9) / (8 * 9))  # by its MACs, where nothing was replaced


def test_a_layer_counts_once_under_the_first_of_its_kinds(profiled):
    layers = [
        layer(None, "t", 100, moved=10, flags=("transpose",)),
        layer("depthwise", "f", 100, 10, flags=("float-island", "fallback")),
        layer("pointwise", "k", 100, 10, flags=("fallback",)),
        layer("pointwise", "o", 100, 10, flags=("odd-channels",), idle_lanes=0.25),
        layer("grouped", "g", 100, 10),
        layer("dense", "d", 100, 10),
    ]
    found = {each.kind: each for each in hindrances(profiled(*layers), PEAKS)}
    assert {kind: each.layers for kind, each in found.items()} == {
        "layout": 1, "float islands": 1, "fallback": 1, "odd channels": 1, "grouped convolutions": 1,
        "matrix products": 1,
    }  # fmt: skip
    assert found["layout"].gain == pytest.approx(1 / 6)
    assert found["float islands"].gain == pytest.approx(0.75 / 6)
    assert found["odd channels"].gain == pytest.approx(0.25 / 6)


def test_a_layer_at_the_peak_has_nothing_to_gain(profiled):
    assert hindrances(profiled(layer("pointwise", "a", 100, 100), layer("pointwise", "b", 50, 100)), PEAKS) == ()


# -- cold --


def test_why_a_cold_inference_takes_longer(profiled):
    """50 ns of the call; 30 + 20 + 4 of the layers, of which 45 are of their weights."""
    layers = (
        layer("dense", "a", 40, cold_ns=70, weights=25, kernel="K"),
        layer("dense", "b", 50, cold_ns=70, weights=20, kernel="K"),
        layer(None, "c", 10, cold_ns=14, weights=0, kernel="L"),
    )
    found = cold_cost(profiled(*layers, samples=(110,) * 5, longer=100), PEAKS)
    assert (found.whole, found.call, found.memory, found.operators) == (100, 50, 45, 9)
    assert (found.weights, found.layers, found.kernels) == (45, 3, 2)
    assert found.explained == pytest.approx(1.04)
    assert found.says.endswith("3 layers of 2 kinds; together 104% of it")
    assert found.says.startswith("cold it takes 0 us longer")


def test_weights_take_no_longer_to_come_than_their_layers_take_longer(profiled):
    """Those of a large network are not in the caches back to back either."""
    found = cold_cost(profiled(layer("dense", "a", 40, cold_ns=70, weights=1000), samples=(40,) * 5, longer=80), PEAKS)
    assert (found.memory, found.operators) == (30, 0)


@pytest.mark.parametrize(
    ("cold_ns", "call", "longer"),
    [(None, CALL, 100), (70, None, 100), (70, CALL, None), (70, CALL, 0)],
    ids=["no times of layers", "no call", "not cold", "not slower"],
)
def test_nothing_is_said_of_what_was_not_measured(profiled, cold_ns, call, longer):
    found = profiled(layer("dense", "a", 40, cold_ns=cold_ns), samples=(110,) * 5, longer=longer, call=call)
    assert cold_cost(found, PEAKS) is None
