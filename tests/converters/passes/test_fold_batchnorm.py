"""Batch normalisation goes into what is linear before it, across any sum."""

import numpy as np
import onnx
from emission import graph, node, random
from hypothesis import given
from hypothesis import strategies as st

from converters.passes.fold_batchnorm import fold_batchnorm


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.booleans()), min_size=1, max_size=4), st.integers(1, 2),
    st.sampled_from(["none", "shared", "also used"]),
)  # fmt: skip
def test_batchnorm_folds_across_any_sum(branches, stride, other_use):
    """A sum of convolutions (groups, bias), their weights perhaps shared or used elsewhere."""
    constants, nodes, names = {}, [], []
    for index, (groups, bias) in enumerate(branches):
        inputs = ["input", f"w{0 if other_use == 'shared' and groups == branches[0][0] else index}"]
        constants[f"w{index}"] = random(8, 4 // groups, 3, 3, seed=index)
        if bias:
            inputs.append(f"b{index}")
            constants[f"b{index}"] = random(8, seed=9 + index)
        names.append(f"y{index}")
        nodes.append(node("Conv", inputs, [names[-1]], group=groups, strides=[stride] * 2, pads=[1] * 4))
    total = names[0]
    for index, name in enumerate(names[1:]):
        nodes.append(node("Add", [total, name], [f"s{index}"]))
        total = f"s{index}"
    for seed, name in enumerate(("gamma", "beta", "mean", "variance")):
        constants[name] = random(8, seed=seed)
    constants["variance"] = np.abs(constants["variance"]) + 0.1
    last = "normalised" if other_use == "also used" else "logits"
    nodes.append(node("BatchNormalization", [total, "gamma", "beta", "mean", "variance"], [last]))
    if other_use == "also used":
        nodes.append(node("Add", ["normalised", names[-1]], ["logits"]))
    model = graph(nodes, (1, 4, 9, 9), **constants)
    inputs = random(1, 4, 9, 9)
    before = answers(model, inputs)
    folded = fold_batchnorm(model)
    onnx.checker.check_model(folded, full_check=True)
    after = answers(folded, inputs)
    assert np.abs(after - before).max() <= 1e-5 * np.abs(before).max()
    kinds = [made.op_type for made in folded.graph.node]
    assert ("BatchNormalization" in kinds) == (other_use == "also used")


def answers(model, inputs):
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": inputs})[0]
