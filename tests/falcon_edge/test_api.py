"""What there is for Python: listed, light to import, and every name leads to what it says."""

import ast
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import falcon_edge

ROOT = Path(__file__).parents[2]

LISTED = [
    "BadInput", "BenchRequest", "Budget", "Choice", "Dataset", "Int8", "Latency", "Network", "Recipe", "Selection",
    "Split", "TimesRequest", "Tuner", "adopt", "bench", "check_models", "compress", "compress_bundle", "distillation",
    "export_bundle", "features", "from_batches", "from_module", "from_pairs", "matching", "open_dataset",
    "open_network", "pack", "pack_bundle", "planner_for", "predicted", "read_times", "reestimate_batchnorm", "save",
    "time_layers", "train", "train_bundle", "tuned", "unit_named",
]  # fmt: skip


def test_it_is_what_was_promised():
    assert falcon_edge.__all__ == LISTED
    assert sorted(name for names in falcon_edge.PLACES.values() for name in names) == LISTED


@pytest.mark.parametrize("name", LISTED)
def test_a_name_is_no_module_and_tells_what_it_is(name):
    found = getattr(falcon_edge, name)
    assert not isinstance(found, types.ModuleType)
    assert found.__doc__


def test_importing_it_imports_nothing_heavy():
    code = (
        "import falcon_edge, sys; print([name for name in ('torch', 'numpy', 'onnx', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_name_that_is_not_there_is_said():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = falcon_edge.nothing


def bound(call):
    """The call of a public function with the arguments that it is written with; a TypeError where it takes others."""
    given = {word.arg: None for word in call.keywords if word.arg is not None}
    return inspect.signature(getattr(falcon_edge, call.func.attr)).bind(*call.args, **given)


@pytest.mark.parametrize("document", ["README.md", "docs/python.md"])
def test_what_documents_call_takes_what_they_give(document):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    nodes = [node for block in blocks for node in ast.walk(ast.parse(block))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("fe.")]
    assert [bound(call) for call in calls if isinstance(call.func.value, ast.Name)]
