"""Graphs as torch modules, held against ONNX Runtime on seeded inputs."""

import numpy as np
import onnx
import torch

from converters.parity import snr_db
from converters.passes import tidy
from converters.passes.current_form import current_form
from converters.passes.name_functions import name_functions
from converters.passes.one_image import one_image
from converters.runtimes import onnx_session
from falcon_edge.models.graphs import module_of


def imported(model, *, named=False, folded=True):
    """The module of a graph of any opset, brought to the one form as those who call module_of do; the graph stays.

    named: chains that compute a function as that function. folded: normalisation in the weights before it.
    """
    own = one_image(onnx.ModelProto.FromString(model.SerializeToString()), "a.onnx")
    made = tidy(own) if folded else current_form(own)
    return module_of(name_functions(made) if named else made, "a.onnx")


def noise(shape, seed=0):
    """Normal float32 values."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def answers(network, value):
    """All that a module gives, by its names in the graph."""
    with torch.no_grad():
        found = network(torch.from_numpy(value))
    given = found if isinstance(found, dict) else {network.outputs[0]: found}
    return {name: tensor.numpy() for name, tensor in given.items()}


def decibels(network, model, seeds=(0, 1)):
    """The lowest SNR (dB) of a module's answers against ONNX Runtime's, of all outputs and seeded inputs."""
    session = onnx_session(model)
    name = session.get_inputs()[0].name
    worst = np.inf
    for seed in seeds:
        value = noise(network.input.shape, seed)
        expected = dict(zip(network.outputs, session.run(list(network.outputs), {name: value}), strict=True))
        for output, found in answers(network, value).items():
            assert found.shape == expected[output].shape
            assert found.dtype == expected[output].dtype
            worst = min(worst, snr_db(expected[output], found))
    return worst


def batched_decibels(network):
    """The SNR (dB) of three batches at once against one by one."""
    parts = [noise(network.input.shape, seed) for seed in range(3)]
    each, together = [answers(network, part) for part in parts], answers(network, np.concatenate(parts))
    return min(snr_db(np.concatenate([one[name] for one in each]), together[name]) for name in network.outputs)


def right(model, *, at_least=100.0, **how):
    """Import a graph, hold it against ONNX Runtime, and three images at once against one by one; the module."""
    network = imported(model, **how)
    assert decibels(network, model) >= at_least
    if network.bound is None:
        assert batched_decibels(network) >= at_least
    return network
