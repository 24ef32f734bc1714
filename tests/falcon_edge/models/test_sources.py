"""Where networks come from; what is no network."""

import importlib.util
import subprocess
import sys
import textwrap

import pytest
import torch

from falcon_edge.errors import BadInput
from falcon_edge.models.sources import build


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """Write a module into the current folder, as a user does; it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    names = []

    def write(source, name="users_own"):
        (tmp_path / f"{name}.py").write_text("from torch import nn\n" + textwrap.dedent(source))
        importlib.invalidate_caches()
        names.append(name)

    yield write
    for name in names:
        sys.modules.pop(name, None)


def refused(call, *arguments, **choices):
    with pytest.raises(BadInput) as caught:
        call(*arguments, **choices)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_function_of_the_current_folder(user_module):
    user_module("def net(): return nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).train()")
    network = build("users_own:net")
    assert network(torch.zeros(1, 1, 2, 2)).shape == (1, 2)
    assert not network.training


def test_a_class_is_a_function_too(user_module):
    user_module("""
    class Net(nn.Linear):
        def __init__(self, num_classes=7):
            super().__init__(4, num_classes)
    """)
    assert build("users_own:Net").out_features == 7
    assert build("users_own:Net", num_classes=3).out_features == 3


@pytest.mark.parametrize(
    ("parameters", "passed"),
    [
        ("", {}),
        ("num_classes=1, in_channels=1", {"num_classes": 5, "in_channels": 2}),
        ("*, num_classes, depth=3", {"num_classes": 5, "depth": 3}),
        ("depth=3, **choices", {"depth": 3, "num_classes": 5, "in_channels": 2}),
    ],
)
def test_a_function_is_given_the_choices_that_it_takes(user_module, parameters, passed):
    user_module(f"""
    def net({parameters}):
        model = nn.Linear(1, 1)
        found = dict(locals())
        found.pop("model")
        model.found = found.pop("choices", {{}}) | found
        return model
    """)
    assert build("users_own:net", num_classes=5, in_channels=2).found == passed


def test_what_is_not_chosen_is_left_to_the_function(user_module):
    user_module("def net(num_classes=6, in_channels=2): return nn.Conv2d(in_channels, num_classes, 1)")
    assert build("users_own:net").weight.shape == (6, 2, 1, 1)


@pytest.mark.parametrize(
    ("source", "body", "said"),
    [
        ("users_own:nothing", "", "users_own:nothing cannot be imported: AttributeError"),
        ("users_own:net", "net = 3", "users_own:net is not a function"),
        ("users_own:net", "net = dict", "users_own:net is not a function"),
        ("users_own:net", "def net(): return 3", "users_own:net returned a int, not an nn.Module"),
        ("users_own:net", "def net(): return nn.Linear", "returned a type"),
        ("users_own:net", "def net(): raise ValueError('no\\nway')", "users_own:net() cannot be built: ValueError: no"),
        (
            "users_own:net",
            "def net(depth): return nn.Linear(1, depth)",
            "asks for an argument depth: give it with `model",
        ),
        (
            "users_own:net",
            "def net(depth, /): return nn.Linear(1, depth)",
            "users_own:net() cannot be built: TypeError",
        ),
        ("users_own:net", "1 / 0", "users_own:net cannot be imported: ZeroDivisionError"),
        ("users_own:net", "import sys; sys.exit(3)", "users_own:net cannot be imported: SystemExit: 3"),
        ("users_own:net", "def net(:", "users_own:net cannot be imported: SyntaxError"),
        ("no_such_module:net", "", "No module named 'no_such_module'"),
        (":net", "", "cannot be imported"),
        ("users_own", "", "no known network; use vgg19, resnet34"),
        ("users_own:", "", "no known network; use vgg19, resnet34"),
        ("vgg99", "", "vgg99: not a bundle and no known network"),
        ("", "", "no known network"),
    ],
)
def test_what_is_no_network(user_module, source, body, said):
    user_module(body)
    assert said in refused(build, source)


@pytest.mark.parametrize(
    "choices",
    [
        {"num_classes": 0},
        {"num_classes": -1},
        {"in_channels": 0},
        {"width": 0.0},
        {"width": -1.0},
        {"width": float("nan")},
        {"width": float("inf")},
    ],
)
def test_choices_that_make_no_network(choices):
    assert "at least 1" in refused(build, "vgg8", **choices)


def test_a_network_that_does_not_fit_the_memory_is_one_line():
    assert refused(build, "vgg8", width=1e7).startswith(
        "vgg8(num_classes=10, in_channels=1, width=10000000.0) cannot be"
    )


@pytest.mark.parametrize(
    ("parameters", "model_args", "passed"),
    [
        ("depth", {"depth": 3}, {"depth": 3}),
        ("depth=1, num_classes=1", {"depth": 3}, {"depth": 3, "num_classes": 5}),
        ("num_classes", {"num_classes": 7}, {"num_classes": 7}),  # rather than that of the data
        ("**choices", {"blocks": [1, 2]}, {"blocks": [1, 2], "num_classes": 5}),
        ("kind=1", {"kind": None}, {"kind": None}),
    ],
)
def test_a_function_is_given_arguments(user_module, parameters, model_args, passed):
    user_module(f"""
    def net({parameters}):
        found = dict(locals())
        model = nn.Linear(1, 1)
        model.found = found.pop("choices", {{}}) | found
        return model
    """)
    assert build("users_own:net", num_classes=5, model_args=model_args).found == passed


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("users_own:net", "users_own:net has no argument depht; it has depth, num_classes"),
        ("users_own:none", "users_own:none has no argument depht; it has none"),
        ("users_own:Plain", "users_own:Plain has no argument depht; it has none"),
        ("vgg8", "vgg8: `model_args` is for module:function"),
        ("timm:resnet18", "timm:resnet18: `model_args` is for module:function"),
        ("vgg99", "vgg99: not a bundle and no known network"),
    ],
)
def test_arguments_that_nobody_takes(user_module, source, said):
    user_module("""
    def net(depth=1, num_classes=2): return nn.Linear(1, 1)
    def none(): return nn.Linear(1, 1)
    class Plain(nn.Module): pass
    """)
    assert said in refused(build, source, num_classes=5, model_args={"depht": 3})


def test_no_error_names_what_was_not_passed(user_module):
    user_module("def net(depth=1): raise ValueError('no way')")
    said = refused(build, "users_own:net", num_classes=5, in_channels=2, model_args={"depth": "deep"})
    assert said == "users_own:net(depth='deep') cannot be built: ValueError: no way"


def test_width_is_for_our_own(user_module):
    user_module("def net(): return nn.Linear(1, 1)")
    assert "`width` is for vgg19" in refused(build, "users_own:net", width=0.5)


def test_torch_does_not_import_its_compiler_to_count_a_network_of_ours():
    """It takes longer than all else that opening a bundle does."""
    code = (
        "import sys; from falcon_edge.models.sources import build; build('vgg8'); print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch._dynamo" not in done.stdout.split()
