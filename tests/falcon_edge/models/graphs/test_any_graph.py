"""Whatever graph comes, it becomes a module that is right, or one line that says why not."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from imported import answers, imported, noise
from random_graphs import graph_of, random_graph

from converters.errors import ConversionError
from converters.parity import snr_db
from converters.quantization.observe import values_of
from converters.runtimes import onnx_session
from falcon_edge.errors import BadInput
from falcon_edge.models.graphs.build import UNFIT
from falcon_edge.models.graphs.node import MAKERS

COUNTS = [120, pytest.param(3000, marks=pytest.mark.slow)]
EACH = [3, pytest.param(150, marks=pytest.mark.slow)]
QUICK = {
    "deadline": None,
    "phases": (Phase.explicit, Phase.generate),  # to make a failing one smaller takes minutes
    "suppress_health_check": [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.large_base_example],
}
UNDRAWN = frozenset(("TanhGelu",))  # no operator of ONNX but a function of ours


def expected_of(model, values):
    """ONNX Runtime's answers, None where it cannot run the graph."""
    try:
        session = onnx_session(model)
        return [session.run(None, {"input": value})[0] for value in values]
    except Exception:  # of any kind: a graph that the checker takes may still be wrong
        return None


def same(expected, found):
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return False
    if not np.isfinite(expected).all():  # kernels differ in what becomes of what is no number
        return True
    close = np.allclose(expected, found, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(expected).max(initial=0)))
    return close or snr_db(expected, found) >= 60


def all_are_numbers(model, values):
    within = values_of(model, np.concatenate(values))
    return all(np.isfinite(value).all() for found in within for value in found.values())


def module_or_reason(model):
    """(a module, ""), or None and what a refusal says; nothing where the graph has not even the form that is read."""
    try:
        return imported(model), ""
    except BadInput as error:
        return None, str(error)
    except ConversionError:
        return None, ""


def looked_at(model):
    """Whether a graph became a module, which is right then; what is refused is refused in one line, for a reason."""
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    values = [noise(shape, seed) for seed in range(2)]
    expected = expected_of(model, values)
    network, said = module_or_reason(model)
    assert "\n" not in said
    assert expected is None or UNFIT not in said
    if network is None or expected is None:
        return False
    found = [answers(network, value)[network.outputs[0]] for value in values]
    if not all(same(*pair) for pair in zip(expected, found, strict=True)):
        assert not all_are_numbers(model, values)
        return True
    if network.bound is None:
        together = answers(network, np.concatenate(values))[network.outputs[0]]
        assert same(np.concatenate(found), together) or not np.isfinite(together).all()
    return True


@pytest.mark.parametrize("count", COUNTS)
def test_right_or_refused_in_one_line(count):
    @given(st.randoms(use_true_random=False))
    @settings(max_examples=count, derandomize=True, **QUICK)
    def tried(random):
        looked_at(random_graph(random))

    tried()


@pytest.mark.parametrize("count", EACH)
@pytest.mark.parametrize("kind", sorted(MAKERS.keys() - UNDRAWN))
def test_every_operator(kind, count):
    """Drawn from the same generator, for itself; test_operators has forms that are allowed."""

    @given(st.randoms(use_true_random=False))
    @settings(max_examples=count, derandomize=True, database=None, **QUICK)
    def tried(random):
        model = graph_of(kind, random)
        if model is not None:
            looked_at(model)

    tried()
