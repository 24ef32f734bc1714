"""Every operator at every opset, as a torch module: what ONNX Runtime makes of the file as it is written."""

import pytest
from imported import right
from operator_forms import every_opset, graphs, known_opsets

CHANGED = [(kind, opset) for kind, opset in known_opsets() if opset <= 21]
OTHERS = [each for each in every_opset() if each not in CHANGED]


@pytest.mark.parametrize(
    ("kind", "opset"), [*CHANGED, *(pytest.param(*each, marks=pytest.mark.slow) for each in OTHERS)]
)
def test_an_operator_is_what_its_opset_says(kind, opset):
    made = [right(model, at_least=80 if kind == "InstanceNormalization" else 95) for model in graphs(kind, opset)]
    assert made or (kind == "Equal" and opset < 11)  # it compares integers alone
