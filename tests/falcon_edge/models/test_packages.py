"""timm and torchvision beside the torch that is here, which is not torchvision's."""

import importlib.util
import sys

import pytest
import torch

from falcon_edge.errors import BadInput
from falcon_edge.models.sources import build


def refused(source):
    with pytest.raises(BadInput) as caught:
        build(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("source", ["timm:test_resnet", "torchvision:squeezenet1_1"])
def test_a_network_of_another_package(source):
    if importlib.util.find_spec(source.partition(":")[0]) is None:
        pytest.skip("not installed (the zoo extra)")
    network = build(source, num_classes=3)
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    assert refused(source + "_not").endswith("has no network of this name")


@pytest.mark.parametrize(
    ("source", "missing", "said"),
    [
        ("timm:resnet18", "timm", "timm:resnet18 needs timm: pip install 'falcon-edge[timm]'"),
        (
            "torchvision:resnet18",
            "torchvision.models",
            "torchvision:resnet18 needs torchvision: pip install torchvision",
        ),
    ],
)
def test_a_missing_package_says_what_to_install(monkeypatch, source, missing, said):
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not there
    assert refused(source) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import a_part_that_is_missing", "timm cannot be imported, for it lacks a_part_that_is_missing"),
        (
            "raise RuntimeError('made for\\nanother torch')",
            "timm is installed but cannot be imported: made for another",
        ),
        ("raise OSError('libfoo.so')", "timm is installed but cannot be imported: libfoo.so"),
    ],
)
def test_a_package_that_is_there_but_broken_says_why(monkeypatch, tmp_path, body, said):
    (tmp_path / "timm.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    assert said in refused("timm:resnet18")
