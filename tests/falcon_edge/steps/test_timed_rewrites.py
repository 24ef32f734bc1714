"""Rewrites timed in the network itself: what is timed, what is made of it, and files that are exported by it."""

import shutil

import pytest

from converters.passes.rewrites.rules import Place
from falcon_edge.bundle import open_bundle
from falcon_edge.documents import canonical_json
from falcon_edge.errors import BadInput
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.timed_rewrites import TimedRules, time_rewrites, timed_rules, verdicts
from falcon_edge.steps.times import TimesRequest
from falcon_edge.times import RewritePlace, Series, TimedRewrite, Times, read_times
from runtime_bench.turns import Turn

QUICK = Turn(runs=3, seconds=0.0, cold=1)
RUNTIMES = ("onnxruntime", "litert")


@pytest.fixture(scope="module")
def network(compressed):
    return open_network(Choice(str(compressed)))


@pytest.fixture(scope="module")
def timed(network, tmp_path_factory):
    """A file of real times of both runtimes."""
    path = tmp_path_factory.mktemp("timed") / "times.json"
    for runtime in RUNTIMES:
        time_rewrites(network, path, TimesRequest(runtime, "int8", rounds=2, turn=QUICK))
    return path


def changed(timed, figures):
    """The same places with other figures: (place) -> nanoseconds, one a round."""
    return Times(
        series=tuple(
            series.model_copy(
                update={
                    "rewrites": tuple(
                        each.model_copy(update={"warm_ns": figures(each.place)}) for each in series.rewrites
                    )
                }
            )
            for series in read_times(timed).series
        )
    )


def test_every_place_is_timed_once_in_every_round_and_not_again(network, timed):
    onnxruntime, litert = sorted(read_times(timed).series, key=lambda each: each.runtime, reverse=True)
    kinds = [sorted({each.place.rewrite for each in one.rewrites if each.place}) for one in (onnxruntime, litert)]
    assert kinds == [["column-blocks", "multiplied-back", "padded-channels"], ["multiplied-back"]]
    for series in (onnxruntime, litert):
        assert [each.place for each in series.rewrites].count(None) == 1
        assert {(len(each.warm_ns), len(each.cold_ns), each.failure) for each in series.rewrites} == {(2, 2, None)}
    before = timed.read_bytes()
    time_rewrites(network, timed, TimesRequest("litert", "int8", rounds=2, turn=QUICK))
    assert timed.read_bytes() == before
    time_rewrites(network, timed, TimesRequest("litert", "int8", rounds=3, turn=QUICK))
    again = {each.runtime: each for each in read_times(timed).series}
    assert {len(each.warm_ns) for each in again["litert"].rewrites} == {3}
    assert again["onnxruntime"] == onnxruntime


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("padded-channels", None)]


@pytest.mark.parametrize("wanted", ["column-blocks", "multiplied-back", *SLOW])
def test_what_was_faster_is_exported_and_nothing_else(compressed, network, timed, tmp_path, stripes, wanted):
    file = tmp_path / "times.json"
    times = changed(timed, lambda place: (50.0, 50.0) if place and place.rewrite == wanted else (100.0, 100.0))
    file.write_bytes(canonical_json(times))
    made = []
    for number in range(2):
        path = shutil.copytree(compressed, tmp_path / f"{number}.falcon")
        int8 = Int8(str(stripes), samples=16, accept_loss=True, times=file)
        export_bundle(path, ("onnx", "tflite"), ("int8",), int8=int8)
        made.append(open_bundle(path))
    onnx, tflite = made[0].manifest.exports
    both = wanted == "multiplied-back"
    assert set(onnx.rewrites.nodes if onnx.rewrites else ()) == ({wanted} if wanted else set())
    assert set(tflite.rewrites.nodes if tflite.rewrites else ()) == ({wanted} if both else set())
    for one, other in zip(*(each.manifest.exports for each in made), strict=True):
        assert made[0].file(one.file).read_bytes() == made[1].file(other.file).read_bytes()


def place(rewrite, channels=1):
    return RewritePlace(
        rewrite=rewrite,
        input=(1, channels, 8, 8),
        output=(1, 4, 8, 8),
        kernel=(3, 3),
        stride=(1, 1),
        groups=1,
        branches=1,
    )


def series(figures, **given):
    """Of one network called "net"; figures: by place, nanoseconds."""
    rewrites = tuple(TimedRewrite(outline="net", place=at, warm_ns=each) for at, each in figures.items())
    known = {"device": "local", "machine": "m", "emulated": False, "runtime": "litert", "version": "1"}
    return Series(**{**known, "precision": "int8", "threads": 1, "rewrites": rewrites, **given})


def test_a_rewrite_is_done_where_every_round_was_faster():
    always, mostly, never = place("a"), place("b", 2), place("c", 3)
    figures = {None: (10.0, 10.0, 10.0), always: (9.0, 8.0, 9.9), mostly: (5.0, 5.0, 10.0), never: (20.0, 20.0, 20.0)}
    found = verdicts(series(figures), "net")
    assert {at.rewrite: verdict.done for at, verdict in found.items()} == {"a": True, "b": False, "c": False}
    assert found[mostly].gain == 2
    assert verdicts(series(figures), "another") == {}


def test_of_two_rewrites_of_an_operator_the_faster_one_is_done():
    found = verdicts(series({None: (10.0,), place("a"): (8.0,), place("b"): (5.0,), place("a", 2): (9.0,)}), "net")
    assert {(at.rewrite, at.input[1]): verdict.done for at, verdict in found.items()} == {
        ("a", 1): False,
        ("b", 1): True,
        ("a", 2): True,
    }


def test_what_cannot_be_run_or_was_never_timed_without_is_not_done():
    broken = TimedRewrite(outline="net", place=place("a"), failure="it ended")
    alone = TimedRewrite(outline="net", place=place("b"), warm_ns=(1.0,))
    for rewrites in ((broken,), (alone,), (broken, TimedRewrite(outline="net", place=None, warm_ns=(2.0,)))):
        found = verdicts(series({}, rewrites=rewrites), "net")
        assert [(verdict.gain, verdict.done) for verdict in found.values()] == [(None, False)]


def test_cycles_of_an_emulated_cpu_are_judged_alike():
    rewrites = (
        TimedRewrite(outline="net", place=None, cycles=(10.0,)),
        TimedRewrite(outline="net", place=place("a"), cycles=(9.0,)),
    )
    found = verdicts(series({}, rewrites=rewrites, emulated=True), "net")
    assert [verdict.done for verdict in found.values()] == [True]


def test_what_was_not_timed_is_by_the_other_rules(network):
    class Always:
        def wants(self, runtime, place):
            return True

    known = place("a")
    rules = TimedRules([series({None: (1.0,), known: (2.0,)})], "net", Always())
    asked = Place(node="", **known.model_dump())
    assert not rules.wants("litert", asked)
    assert rules.wants("onnxruntime", asked)


def test_a_file_without_times_of_the_network_is_refused(network, timed, tmp_path):
    other = open_network(Choice("vgg8", width=0.25))
    with pytest.raises(BadInput, match=r"times.json: has no rewrites of .*times .* with `rewrites`"):
        timed_rules(timed, other)
    with pytest.raises(BadInput, match="on elsewhere"):
        timed_rules(timed, network, "elsewhere")
    with pytest.raises(BadInput, match="`precision` fp32: rewrites are of int8 files"):
        time_rewrites(network, tmp_path / "t.json", TimesRequest("litert"))
    assert not (tmp_path / "t.json").exists()


def test_of_several_devices_one_has_to_be_chosen(network, timed, tmp_path):
    times, file = read_times(timed), tmp_path / "two.json"
    faster = changed(timed, lambda place: (1.0,) if place else (2.0,)).series
    elsewhere = tuple(each.model_copy(update={"device": "ssh://board"}) for each in faster)
    slower = changed(timed, lambda place: (2.0,) if place else (1.0,)).series
    file.write_bytes(canonical_json(Times(series=(*slower, *elsewhere))))
    with pytest.raises(BadInput, match="several devices' or versions' times"):
        timed_rules(file, network)
    known = next(each.place for each in times.series[0].rewrites if each.place)
    asked, runtime = Place(node="", **known.model_dump()), times.series[0].runtime
    assert timed_rules(file, network, "ssh://board").wants(runtime, asked)
    assert not timed_rules(file, network, "local").wants(runtime, asked)
