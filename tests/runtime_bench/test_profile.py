"""Where the time goes: layers of what a runtime tells, and of models that end earlier."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_bench.profile import Node, _profile, layers_of_prefixes, layers_of_runtime
from runtime_bench.replies import Ran

# conv -> relu -> pool -> pointwise -> (kept, and) depthwise -> add
CHAIN = (("conv", 900), ("relu", 0), ("pool", 0), ("pointwise", 200), ("depthwise", 90), ("add", 0))


def chain(*, skip=False):
    """Nodes that read the one before; with `skip` the last one reads the pool, too."""
    nodes = []
    for number, (kind, macs) in enumerate(CHAIN):
        reads = {"image" if number == 0 else f"{number - 1}.out": 64}
        if skip and kind == "add":
            reads["2.out"] = 64
        nodes.append(
            Node(
                name=f"/{kind}",
                kind=kind,
                reads=reads,
                writes=(f"{number}.out",),
                elements=64,
                shape=(1, 4, 4, 4),
                parameters=10 if macs else 0,
                macs=macs,
                dtype="float32",
                bytes_each=4,
                form=kind if macs else None,
            )
        )
    return tuple(nodes)


def told(*names, us=(10, 10, 10, 10)):
    return [
        Ran(name=name, kernel="K", provider="CPUExecutionProvider", shape=[1, 4], bytes=32, us=list(us))
        for name in names
    ]


def test_a_node_that_did_not_run_belongs_to_the_one_that_it_was_fused_into():
    # As ONNX Runtime names them: by the activation's output where channels are laid out anew, else by the node.
    rows = told("1.out_nchwc", "/pool_token_3", "fused /pointwise", "/depthwise", "ReorderOutput")
    layers = layers_of_runtime(rows, chain())
    assert [layer.operators for layer in layers] == [
        ("conv", "relu"), ("pool",), ("pointwise",), ("depthwise", "add"), ("K",),
    ]  # fmt: skip
    assert [layer.output for layer in layers] == ["1.out", "2.out", "3.out", "5.out", "ReorderOutput"]
    assert [layer.macs for layer in layers] == [900, 0, 200, 90, 0]
    assert [layer.kernel for layer in layers] == ["K (NCHWc)", "K", "K", "K", "K"]
    assert layers[0].bytes == 4 * (64 + 64 + 10)  # what passes from the convolution to its activation moves nothing


def test_what_reads_a_layer_from_elsewhere_counts_as_read():
    layers = layers_of_runtime(told("/conv", "/relu", "/pool", "/pointwise", "/depthwise"), chain(skip=True))
    assert layers[-1].operators == ("depthwise", "add")
    assert layers[-1].bytes == 4 * (64 + 64 + 64 + 10)


def test_nodes_at_the_input_go_to_what_reads_them():
    layers = layers_of_runtime(told("/pool", "/pointwise", "/depthwise", "/add"), chain())
    assert layers[0].operators == ("conv", "relu", "pool")
    assert sum(layer.macs for layer in layers) == 1190


def test_a_time_is_that_of_the_middle_half_between_two_microseconds():
    (layer, *_) = layers_of_runtime(told("/conv", us=(1, 10, 11, 900)), chain())
    assert layer.ns == 11_000


def test_another_provider_is_a_fallback():
    rows = told("/conv") + [row.model_copy(update={"provider": "Other"}) for row in told("/pool")]
    assert [layer.flags for layer in layers_of_runtime(rows, chain())] == [(), ("fallback",)]


def test_operators_whose_times_cannot_be_told_apart_are_one_layer():
    upto = np.array([100.0, 100.0, 130.0, 150.0, 149.0, 200.0])
    noise = np.random.default_rng(0).normal(0, 0.1, (7, 6))
    noise[:, 1] = [-0.3, -0.2, 0.1, 0.2, -0.1, 0.3, 0.1]  # more and less than before
    layers = layers_of_prefixes(upto + noise, chain(), {f"{number}.out" for number in range(6)})
    assert [layer.operators for layer in layers] == [("conv",), ("relu", "pool"), ("pointwise",), ("depthwise", "add")]
    assert [layer.ns for layer in layers] == pytest.approx([100, 30, 20, 50], abs=1)
    assert {layer.kernel for layer in layers} == {"xnnpack"}


def test_what_takes_no_time_at_the_end_belongs_to_the_last_layer():
    upto = np.array([100.0, 120.0, 130.0, 150.0, 160.0, 160.0])
    layers = layers_of_prefixes(np.tile(upto, (7, 1)), chain(), ())
    assert layers[-1].operators == ("depthwise", "add")
    assert {layer.kernel for layer in layers} == {"built-in"}
    assert not any(layer.flags for layer in layers)  # nothing was delegated: built-in kernels are no fallback


def test_beside_delegated_operators_built_in_ones_are_a_fallback():
    upto = np.cumsum(np.full(6, 10.0))
    layers = layers_of_prefixes(np.tile(upto, (7, 1)), chain(), {"0.out", "1.out", "3.out", "4.out", "5.out"})
    assert [layer.kernel for layer in layers if layer.flags == ("fallback",)] == ["built-in"]


@given(st.lists(st.floats(1.0, 1e6), min_size=6, max_size=6), st.floats(10.0, 1e7))
def test_layers_and_remainder_are_the_whole(times, median):
    layers = layers_of_prefixes(np.tile(np.cumsum(times), (7, 1)), chain(), ())
    profile = _profile("prefixes", layers, median)
    assert sum(layer.ns for layer in profile.layers) + profile.remainder_ns == pytest.approx(median, rel=1e-6)
    assert all(layer.ns >= 0 for layer in profile.layers)
    assert profile.overhead_ns >= 0
    assert profile.overhead_ns == 0 or profile.remainder_ns == pytest.approx(0, abs=1e-6 * median)


# -- the real runtimes --


def test_onnx_runtime_tells_its_nodes(load, files, tmp_path):
    worker, _ = load(files["falcon.onnx"])
    rows = worker.ask("profile", timeout=60, runs=7, folder=str(tmp_path))["nodes"]
    assert sum("Conv" in row["kernel"] for row in rows) == 6  # three pointwise, three depthwise
    assert all(len(row["us"]) == 7 and row["provider"] == "CPUExecutionProvider" for row in rows)
    assert not list(tmp_path.iterdir())
    assert len(worker.ask("measure", timeout=60, runs=3)["samples_ns"]) == 3  # the session as it was


def test_litert_tells_what_was_delegated(load, files, tmp_path):
    worker, reply = load(files["falcon.tflite"])
    delegated = worker.ask("profile", timeout=60, runs=1, folder=str(tmp_path))["delegated"]
    assert reply["runtime"]["kernels"] == "xnnpack"
    assert len(delegated) == len(set(delegated)) > 6
    assert len(worker.ask("invoke", timeout=60, runs=4)["samples_ns"]) == 4


def test_bandwidth(load, files):
    worker, _ = load(files["vgg.onnx"])
    assert 0 < worker.ask("bandwidth", timeout=60, size=2**20, times=3)["ns"] < 1e9
