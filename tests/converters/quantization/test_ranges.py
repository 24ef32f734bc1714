"""What is observed of a network, and the ranges that the methods choose from it."""

import numpy as np
import pytest
import torch
from small_networks import samples, vgg

from converters import onnx_graph
from converters.onnx_export import export_onnx
from converters.quantization.observe import BINS, Observation, observe
from converters.quantization.ranges import METHODS, PERCENTILE


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    network = vgg(1)
    path = tmp_path_factory.mktemp("observed") / "model.onnx"
    export_onnx(network, torch.zeros(1, *network.shape), path, simplify=False)
    return network, onnx_graph.load(path)


def test_every_value_is_observed_as_torch_computes_it(exported):
    network, model = exported
    inputs = samples(network.shape, 6)
    before = model.SerializeToString()
    seen = observe(model, inputs)
    assert model.SerializeToString() == before
    computed = {name for node in model.graph.node if node.op_type != "Constant" for name in node.output}
    assert seen.keys() == computed | {"input"}
    with torch.no_grad():
        logits = network(torch.from_numpy(inputs)).numpy()
    last = seen["logits"]
    assert (last.low, last.high) == pytest.approx((logits.min(), logits.max()), rel=1e-4)
    assert last.mean == pytest.approx(logits.mean(0), abs=1e-4)
    assert seen["input"].peaks == pytest.approx(np.abs(inputs).max((0, 2, 3)))
    assert seen["input"].histogram.sum() == inputs.size


def observation(values):
    low, high = float(values.min()), float(values.max())
    histogram = np.histogram(values, BINS, (low, high))[0]
    return Observation(low, high, np.abs(values)[None], np.abs(values).max(keepdims=True), values, histogram)


def rounding_error(values, low, high):
    step = (high - low) / 255
    return np.square(np.clip(np.rint((values - low) / step), 0, 255) * step + low - values).mean()


@pytest.fixture(scope="module", params=["laplace", "relu", "uniform"])
def values(request):
    random = np.random.default_rng(0)
    drawn = {"laplace": random.laplace, "relu": lambda size: np.maximum(random.laplace(size=size), 0)}
    return drawn.get(request.param, lambda size: random.uniform(-1, 2, size))(size=200_000)


@pytest.mark.parametrize("name", METHODS)
def test_ranges_lie_within_what_was_observed(values, name):
    low, high = METHODS[name](observation(values))
    assert values.min() <= low <= high <= values.max()
    if values.min() >= 0:
        assert low == 0


def test_percentile_leaves_out_the_tails(values):
    low, high = METHODS["percentile"](observation(values))
    assert np.mean((values < low) | (values > high)) <= 2 * (1 - PERCENTILE / 100)


@pytest.mark.parametrize("name", ["minmax", "percentile", "entropy"])
def test_mse_has_the_least_error(values, name):
    seen = observation(values)
    found = rounding_error(values, *METHODS["mse"](seen))
    assert found <= 1.02 * rounding_error(values, *METHODS[name](seen))


def test_clipping_methods_drop_an_outlier():
    values = np.append(np.random.default_rng(0).standard_normal(100_000), 100.0)
    assert METHODS["percentile"](observation(values))[1] < 10
    for name in ("entropy", "mse"):
        assert METHODS[name](observation(values))[1] < 100, name
    assert METHODS["minmax"](observation(values))[1] == 100


@pytest.mark.parametrize("name", METHODS)
def test_a_constant_has_a_range(name):
    seen = Observation(0.0, 0.0, np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(BINS, np.int64))
    assert METHODS[name](seen) == (0.0, 0.0)
