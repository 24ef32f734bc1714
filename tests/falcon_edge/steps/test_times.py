"""Layers timed by themselves: what is timed, the file that keeps it, runs that break off, and what adding up says."""

import os
import signal
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from falcon_edge.documents import canonical_json
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.observe import Place
from falcon_edge.falcon.plan import make_plan, uniform_plan
from falcon_edge.steps.modules import from_module
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.planning import units
from falcon_edge.steps.planning.predictor import Predictor, predicted
from falcon_edge.steps.planning.timed_layers import Layers, replaced_in, timed_sizes
from falcon_edge.steps.times import TimesRequest, time_layers
from falcon_edge.times import Series, TimedNetwork, TimedReference, TimedUnit, Times, read_times
from runtime_bench.devices.local import LocalDevice
from runtime_bench.errors import DeviceError
from runtime_bench.turns import Turn

QUICK = Turn(runs=3, seconds=0.0, cold=1)
LAYERS = [f"features.{number}" for number in (4, 7, 11, 14, 17)]


@pytest.fixture(scope="module")
def network():
    return open_network(Choice("vgg8", width=0.125))


@pytest.fixture(scope="module")
def plan(network):
    return uniform_plan(network.module, network.input.shape, 2)


@pytest.fixture(scope="module")
def request_(plan):
    return TimesRequest("ort", plans=(plan,), rounds=1, turn=QUICK)


@pytest.fixture(scope="module")
def timed(network, request_, tmp_path_factory):
    """A file of real times."""
    path = tmp_path_factory.mktemp("timed") / "times.json"
    time_layers(network, path, request_)
    return path


class Workers(LocalDevice):
    """This machine, which counts its workers and kills one at its nth request for a measurement."""

    def __init__(self, kill_at=None):
        super().__init__()
        self.started, self.measured, self.kill_at = 0, 0, kill_at

    def start_worker(self):
        self.started += 1
        worker = super().start_worker()
        asked = worker.ask

        def ask(action, **request):
            self.measured += action == "warm_up"
            if self.measured == self.kill_at:
                os.kill(worker.pid, signal.SIGKILL)
            return asked(action, **request)

        worker.ask = ask
        return worker


# -- what is timed --


def test_units_of_plans_are_those_of_their_layers_and_of_the_anchors(network, plan):
    layers = Layers(network)
    found = {(unit.form, unit.sizes) for unit in layers.units([plan])}
    assert found == {("keep", ()), ("falcon", (1,)), ("falcon", (2,))}
    assert [len(replaced) for replaced in layers.anchors()] == [0, 2, 5]
    sizes = [layers.parameters_of(replaced) for replaced in layers.anchors()]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == plan.parameters


def test_parameters_of_a_plan_are_the_plans(network, plan):
    assert Layers(network).parameters_of(plan.replaced) == plan.planned_parameters


def test_every_form_is_timed_by_default(network):
    found = Layers(network).units()
    assert {unit.form for unit in found} == {"keep", *FORMS}
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("channels", [(64, 128), (5, 7), (32, 8)])
def test_timed_sizes_are_the_forms_and_save_weights(form, channels):
    conv = nn.Conv2d(*channels, 3, padding=1)
    found = timed_sizes(form, conv)
    assert len(set(found)) == len(found)
    for sizes in found:
        form.check(conv.weight, sizes)
        assert form.parameters(conv, sizes, False) < conv.weight.numel() or len(found) == 1


def test_a_unit_is_what_decides_its_time():
    conv, place = nn.Conv2d(8, 16, 3, 2, 1, bias=False), Place("a", 12, 10, False, False)
    kept = units.unit_of(conv, place, None)
    assert kept.model_dump() | {"form": "keep", "sizes": (), "channels": (8, 16), "height": 12, "width": 10} == (
        kept.model_dump()
    )
    assert kept.stride == (2, 2)
    assert kept == units.unit_of(nn.Conv2d(8, 16, 3, 2, 1), replace_name(place), None)
    assert kept != units.unit_of(conv, place._replace(of_image=True), None)
    # A Relu costs nothing behind one convolution, and something behind a sum of them.
    assert kept == units.unit_of(conv, place._replace(clamped=True), None)
    for rank, alike in ((1, True), (2, False)):
        falcon = Replacement("falcon", (rank,))
        same = units.unit_of(conv, place, falcon) == units.unit_of(conv, place._replace(clamped=True), falcon)
        assert same == alike


def replace_name(place):
    return place._replace(name="another")


def test_short_units_that_keep_their_shape_are_chained():
    def copies(conv, size, of_image=False, replacement=None):
        return units.small(units.unit_of(conv, Place("a", size, size, of_image, True), replacement)).copies

    assert copies(nn.Conv2d(16, 16, 3, padding=1), 8) == units.CHAIN
    assert copies(nn.Conv2d(16, 16, 3, padding=1), 8, replacement=Replacement("dsconv", (2,))) == units.CHAIN
    assert copies(nn.Conv2d(16, 32, 3, padding=1), 8) == 1
    assert copies(nn.Conv2d(16, 16, 3, padding=1), 8, of_image=True) == 1
    assert copies(nn.Conv2d(512, 512, 3, padding=1), 8) == 1


# -- the file --


def test_the_file_has_every_unit_with_both_ways(timed, network, plan):
    (series,) = read_times(timed).series
    assert (series.runtime, series.precision, series.device, series.emulated) == ("onnxruntime", "fp32", "local", False)
    assert {each.unit for each in series.units} == set(Layers(network).units([plan]))
    assert len(series.networks) == len(Layers(network).anchors())
    for each in (*series.units, *series.networks, *series.references):
        assert (len(each.warm_ns), len(each.cold_ns), len(each.cycles)) == (1, 1, 0)
    assert all(each.value("back to back") > 0 for each in series.networks)


def test_what_is_timed_is_not_timed_again(timed, network, request_):
    before = timed.read_bytes()
    device = Workers()
    time_layers(network, timed, request_, device=device)
    assert (device.started, device.measured) == (1, 0)  # which tells the runtime's version
    assert timed.read_bytes() == before


def test_a_lost_worker_keeps_what_was_timed_and_the_next_run_times_the_rest(timed, network, request_, tmp_path):
    path = tmp_path / "times.json"
    (whole,) = read_times(timed).series
    kept = tuple(each for each in whole.units if each.unit.form == "keep")
    path.write_bytes(canonical_json(Times().with_series(whole.model_copy(update={"units": kept}))))
    with pytest.raises(DeviceError, match=r"killed by SIGKILL.*what was timed is in .*times\.json"):
        time_layers(network, path, request_, device=Workers(kill_at=4))
    (broken_off,) = read_times(path).series
    assert broken_off.networks == whole.networks
    assert len(kept) < len(broken_off.units) < len(whole.units)
    device = Workers()
    done = time_layers(network, path, request_, device=device)
    assert {each.unit for each in done.units} == {each.unit for each in whole.units}
    assert {repr(each) for each in broken_off.units} <= {repr(each) for each in done.units}
    assert len(whole.units) - len(broken_off.units) <= device.measured < len(whole.units)
    assert done.networks == whole.networks


def test_a_runtime_that_is_not_there_says_so(network, request_, tmp_path):
    class Bare(LocalDevice):
        def lacks(self, runtime):
            return f"{runtime} is not installed"

    with pytest.raises(DeviceError, match=r"^onnxruntime is not installed$"):
        time_layers(network, tmp_path / "times.json", request_, device=Bare())
    assert not list(tmp_path.iterdir())


def test_files_that_are_none_are_refused_before_anything_is_timed(network, request_, tmp_path):
    path = tmp_path / "times.json"
    for text, problem in (("{", "not a valid times"), ('{"schema_version": 2}', "a times of version 2")):
        path.write_text(text)
        with pytest.raises(BadInput, match=problem):
            time_layers(network, path, request_, device=Workers())
        assert path.read_text() == text


def test_a_unit_is_there_once(timed):
    (series,) = read_times(timed).series
    twice = series.model_dump() | {"units": [series.units[0].model_dump()] * 2}
    with pytest.raises(ValueError, match="one of its units twice"):
        Times.model_validate({"series": [twice]})


def test_series_are_in_one_order_whatever_came_first(timed):
    (series,) = read_times(timed).series
    other = series.model_copy(update={"precision": "int8", "units": series.units[::-1]})
    one, two = Times().with_series(series).with_series(other), Times().with_series(other).with_series(series)
    assert canonical_json(one) == canonical_json(two)


def test_requests_without_a_meaning():
    for arguments, problem in (
        ({"precision": "fp16"}, "timed in fp32 or int8"),
        ({"rounds": 0}, "at least 1"),
    ):
        with pytest.raises(BadInput, match=problem):
            TimesRequest("ort", **arguments)


# -- adding up --


def handmade(layers, plans, *, each_us=2.0, rests_us=(10.0, 20.0, 40.0), **series):
    """Times in which every unit takes as long, and networks beyond these what is given, the smallest first."""
    wanted = layers.units(plans)
    known = tuple(TimedUnit(unit=unit, copies=1, warm_ns=(1000 * (3.0 + each_us),)) for unit in wanted)
    within = {unit.reference for unit in wanted}
    references = tuple(TimedReference(reference=each, warm_ns=(3000.0,)) for each in within)
    anchors = sorted(layers.anchors(), key=layers.parameters_of)
    networks = tuple(
        TimedNetwork(
            outline=layers.outline.digest,
            replaced=dict(replaced),
            parameters=layers.parameters_of(replaced),
            warm_ns=(1000 * (5 * each_us + rest),),
        )
        for replaced, rest in zip(anchors, rests_us, strict=True)
    )
    fields = {"device": "local", "machine": "a machine", "emulated": False, "runtime": "litert", "version": "1"}
    fields |= {"precision": "int8", "threads": 1} | series
    return Series(**fields, references=references, units=known, networks=networks)


def test_layers_and_the_rest_are_added_up(network, plan):
    layers = Layers(network)
    series = handmade(layers, [plan])
    predictor = Predictor(network, series)
    standard, falcon = predictor.predict({}), predictor.predict(layers.anchors()[-1])
    assert standard.layers == dict.fromkeys(LAYERS, pytest.approx(2e-6))
    assert (standard.rest, falcon.rest) == (pytest.approx(40e-6), pytest.approx(10e-6))
    assert standard.value == pytest.approx(50e-6)
    between = predictor.predict(plan)  # of rank 2: fewer weights than the standard network, more than at rank 1
    assert falcon.rest < between.rest < standard.rest
    assert between.value == pytest.approx(between.rest + 10e-6)
    costs = predictor.costs(LAYERS[0])
    assert costs[Replacement("falcon", (2,))] == costs[None] == pytest.approx(2e-6)
    times = Times().with_series(series)
    assert predicted(network, plan, times, runtime="tflite", precision="int8") == between


def test_what_disturbs_a_round_only_adds(network, plan):
    layers = Layers(network)
    series = handmade(layers, [plan])
    steady = Predictor(network, series).predict(plan)
    for kind in ("references", "units", "networks"):
        disturbed = tuple(each.model_copy(update={"warm_ns": (9e9, *each.warm_ns)}) for each in getattr(series, kind))
        assert Predictor(network, series.model_copy(update={kind: disturbed})).predict(plan) == steady


def test_rests_are_what_whole_networks_took_beyond_their_layers(timed, network):
    (series,) = read_times(timed).series
    predictor, cold, rests = Predictor(network, series), Predictor(network, series, "cold"), []
    warm, found, wholes = [], [], []
    for each in series.networks:
        replaced = replaced_in(each)
        warm.append(each.value("back to back") - sum(predictor.predict(replaced).layers.values()))
        found.append(predictor.predict(replaced).rest)
        rests.append(each.value("cold") - sum(cold.predict(replaced).layers.values()))
        wholes.append(each.value("cold"))
    assert all(min(warm) <= rest * 1.000001 and rest <= max(warm) * 1.000001 for rest in found)
    # With emptied caches it is one, which small networks tell best.
    assert cold.predict({}).rest == pytest.approx(np.average(rests, weights=1 / np.square(wholes)))


def test_more_weights_are_never_waited_for_less(network, plan):
    layers = Layers(network)
    series = handmade(layers, [plan])
    slower = [10_000, 90_000, 40_000]  # of the standard network, half and FALCON everywhere: noise beyond all sense
    ordered = sorted(series.networks, key=lambda each: -each.parameters)
    noisy = [
        each.model_copy(update={"warm_ns": (each.warm_ns[0] + more,)})
        for each, more in zip(ordered, slower, strict=True)
    ]
    predictor = Predictor(network, series.model_copy(update={"networks": tuple(noisy)}))
    rests = [predictor.predict(replaced).rest for replaced in layers.anchors()]
    assert rests == sorted(rests, reverse=True)


def test_what_is_not_there_is_said(network, plan):
    layers = Layers(network)
    series = handmade(layers, [])
    tucker = make_plan(network.module, network.input.shape, {LAYERS[1]: Replacement("tucker2", (3, 3))})
    with pytest.raises(BadInput, match=r"no time of features\.7 as tucker2 3, 3 of 8 to 8 channels at 14x14"):
        Predictor(network, series).predict(tucker)
    with pytest.raises(BadInput, match="has no times of vgg8 cold"):
        Predictor(network, series, "cold")
    stem = make_plan(network.module, network.input.shape, {"features.0": Replacement("dsconv", (1,))})
    with pytest.raises(BadInput, match=r"replaces features\.0, which no form replaces by default"):
        Predictor(network, series).predict(stem)
    times = Times().with_series(series)
    with pytest.raises(BadInput, match="no times of litert in fp32; there are litert 1 in int8 on local"):
        predicted(network, plan, times, runtime="litert", precision="fp32")
    both = times.with_series(handmade(layers, [], version="2"))
    with pytest.raises(BadInput, match="several machines' or versions' times"):
        predicted(network, plan, both, runtime="litert", precision="int8")


def test_a_compressed_network_is_refused(network, plan):
    compressed = replace(network, plan=plan)
    with pytest.raises(BadInput, match="is compressed already"):
        Layers(compressed)


def test_cycles_are_no_times(network, plan):
    layers = Layers(network)
    series = handmade(layers, [plan], emulated=True)
    counted = series.model_copy(
        update={
            kind: tuple(
                each.model_copy(update={"cycles": each.warm_ns, "warm_ns": ()}) for each in getattr(series, kind)
            )
            for kind in ("references", "units", "networks")
        }
    )
    predictor = Predictor(network, counted)
    assert predictor.way == "cycles"
    rest = np.average([10_000, 20_000, 40_000], weights=1 / np.square([20_000, 30_000, 50_000]))
    assert predictor.predict({}).value == pytest.approx(10_000 + rest)
    with pytest.raises(BadInput, match="back to back"):
        Predictor(network, counted, "back to back")


def test_another_network_that_gives_the_same_shapes_has_times_of_its_own(tmp_path):
    def layers_of(kernel, name="conv"):
        parts = {name: nn.Conv2d(3, 8, kernel, padding=kernel // 2), "pool": nn.AdaptiveAvgPool2d(1)}
        return Layers(from_module(nn.Sequential(OrderedDict(parts)), torch.zeros(1, 3, 8, 8)))

    small, large, renamed = layers_of(3), layers_of(5), layers_of(3, "first")
    assert small.outline.digest == large.outline.digest == renamed.outline.digest
    both = handmade(small, [], rests_us=(10.0, 20.0))
    units = {each.unit: each for other in (small, large) for each in handmade(other, [], rests_us=(1.0, 1.0)).units}
    both = both.model_copy(update={"units": tuple(units.values())})
    for known in (small, renamed):
        assert Predictor(known.network, both).predict({}).value == pytest.approx(30e-6)  # as it was timed
    with pytest.raises(BadInput, match="has no times of network back to back"):
        Predictor(large.network, both)
    networks = *both.networks, *handmade(large, [], rests_us=(100.0, 200.0)).networks
    times = Times().with_series(both.model_copy(update={"networks": networks}))
    path = tmp_path / "times.json"
    path.write_bytes(canonical_json(times))
    (series,) = read_times(path).series
    values = [Predictor(each.network, series).predict({}).value for each in (small, large)]
    assert values[1] > values[0]


@pytest.mark.parametrize("given", [("foo", (1,)), ("falcon", ()), ("falcon", (0,)), ("falcon", (10**6,))])
def test_forms_that_a_layer_has_not_are_passed_over(network, plan, given):
    layers = Layers(network)
    series = handmade(layers, [plan])
    strange = [each.model_copy(update={"replaced": {LAYERS[0]: given}}) for each in series.networks if each.replaced]
    units = [each for each in series.units if each.unit.form == "falcon"]
    form, sizes = given
    more = units[0].model_copy(update={"unit": units[0].unit.model_copy(update={"form": form, "sizes": sizes})})
    standard = [each for each in series.networks if not each.replaced]
    damaged = series.model_copy(update={"networks": (*standard, *strange), "units": (*series.units, more)})
    found = Predictor(network, damaged)
    assert found.predict({}) == Predictor(network, series.model_copy(update={"networks": tuple(standard)})).predict({})
    assert found.costs(LAYERS[0]).keys() == Predictor(network, series).costs(LAYERS[0]).keys()


@pytest.mark.parametrize("nanoseconds", [-1.0, 1e300])
def test_what_no_inference_takes_is_refused(network, tmp_path, nanoseconds):
    times = Times().with_series(handmade(Layers(network), []))
    path = tmp_path / "times.json"
    path.write_bytes(canonical_json(times).replace(b"5000.0", str(nanoseconds).encode()))
    with pytest.raises(BadInput, match=r"not a valid times: series.0.units.0.warm_ns.0: Input should be"):
        read_times(path)


def test_threads_and_cpus_of_times_are_said(network, plan):
    times = Times().with_series(handmade(Layers(network), [], threads=2, cpu="x86-vnni"))
    with pytest.raises(
        BadInput, match=r"of litert in int8 by 4 threads; there are .* by 2 threads, of files for x86-vnni"
    ):
        predicted(network, plan, times, runtime="litert", precision="int8", threads=4)
