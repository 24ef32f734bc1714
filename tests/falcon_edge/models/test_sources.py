"""Where networks and weights come from; what is no network and what are no weights."""

import importlib.util
import pickle
import sys
import textwrap

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.models.sources import build, load_weights, read_state


def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()


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
        ("users_own:net", "def net(): raise ValueError('no\\nway')", "cannot be built with {}: ValueError: no"),
        ("users_own:net", "def net(depth): return nn.Linear(1, depth)", "cannot be built with {}: TypeError"),
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
    assert refused(build, "vgg8", width=1e7).startswith("vgg8 cannot be built with")


def test_width_is_for_our_own(user_module):
    user_module("def net(): return nn.Linear(1, 1)")
    assert "--width is for vgg19" in refused(build, "users_own:net", width=0.5)


def write(path, state):
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    return path


def same(network, other):
    one, two = network.state_dict(), other.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("w.safetensors", lambda state: state),
        ("w.pt", lambda state: state),
        ("w.pth", lambda state: {"epoch": 3, "state_dict": state, "best": 0.9}),
        ("w.pt", lambda state: {"model": state, "optimizer": {"lr": 0.1}}),
        ("w.pt", lambda state: {f"module.{key}": value for key, value in state.items()}),
        ("w.safetensors", lambda state: {f"module.{key}": value for key, value in state.items()}),
        ("w.pt", lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}}),
        ("w.pt", lambda state: {key: value for key, value in state.items() if "num_batches" not in key}),
    ],
)
def test_weights_are_loaded(tmp_path, name, wrap):
    trained, network = small(), small()
    assert not same(network, trained)
    load_weights(network, write(tmp_path / name, wrap(trained.state_dict())))
    assert same(network, trained)


def test_a_network_that_has_a_part_named_module(tmp_path):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)

    for prefix in ("", "module."):
        trained, network = Wrapped(), Wrapped()
        state = {prefix + key: value for key, value in trained.state_dict().items()}
        load_weights(network, write(tmp_path / "w.pt", state))
        assert same(network, trained)


def test_half_precision_is_widened(tmp_path):
    trained, network = small(), small()
    load_weights(network, write(tmp_path / "w.safetensors", trained.half().state_dict()))
    assert network[0].weight.dtype == torch.float32
    assert same(network, trained.float())


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: without(state, "4.weight"), "they lack 4.weight"),
        (lambda state: state | {"5.weight": torch.zeros(1)}, "they have the unknown 5.weight"),
        (lambda state: state | {"4.weight": torch.zeros(3, 17)}, "4.weight is (3, 17), not (3, 16)"),
        (lambda state: state | {"4.weight": torch.zeros(48)}, "4.weight is (48,), not (3, 16)"),
        (lambda state: state | {"4.bias": torch.tensor([0, float("nan"), 0])}, "4.bias holds values that are not"),
        (lambda state: {}, "they lack 0.weight"),
        (lambda state: {f"net.{key}": value for key, value in state.items()}, "they lack 0.weight"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(tmp_path, suffix, change, said):
    network = small()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    path = write(tmp_path / f"w.{suffix}", change(small().state_dict()))
    line = refused(load_weights, network, path)
    assert said in line
    assert str(path) in line
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["torch", "pickle", "legacy", "inside a state dict"])
def test_a_pickled_object_is_refused_and_not_executed(tmp_path, recwarn, kind):
    pickle.loads(pickle.dumps(Malicious(tmp_path / "executed"))).close()
    assert (tmp_path / "executed").exists()
    witness, path = tmp_path / "witness", tmp_path / "w.pt"
    match kind:
        case "torch":
            torch.save(Malicious(witness), path)
        case "pickle":
            path.write_bytes(pickle.dumps(Malicious(witness)))
        case "legacy":
            torch.save(Malicious(witness), path, _use_new_zipfile_serialization=False)
        case _:
            torch.save(small().state_dict() | {"hook": Malicious(witness)}, path)
    assert "not a weights file" in refused(read_state, path)
    assert not witness.exists()
    assert not recwarn.list


def test_a_whole_pickled_network_is_refused(tmp_path):
    torch.save(small(), tmp_path / "w.pt")
    assert "torch.save(model.state_dict(), ...)" in refused(read_state, tmp_path / "w.pt")


@pytest.mark.parametrize("content", [3, [torch.zeros(1)], {"a": 3}, {1: torch.zeros(1)}, {"state_dict": {"a": "b"}}])
def test_what_holds_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    assert "holds no state dict" in refused(read_state, tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["none.pt", "none.safetensors", "folder.pt"])
def test_weights_that_are_not_there(tmp_path, name):
    (tmp_path / "folder.pt").mkdir()
    assert refused(read_state, tmp_path / name) == f"{tmp_path / name}: no such weights file"


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@given(share=st.floats(0, 0.999))
def test_truncated_weights_are_one_line(tmp_path_factory, suffix, share):
    path = write(tmp_path_factory.mktemp("weights") / f"w.{suffix}", small().state_dict())
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert "not a weights file" in refused(read_state, path)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.bin", "w"])
@given(data=st.binary(max_size=200))
def test_garbage_is_one_line(tmp_path_factory, name, data):
    path = tmp_path_factory.mktemp("weights") / name
    path.write_bytes(data)
    assert str(path) in refused(read_state, path)
