"""Weights as trainers write them, found by the network's names; what is refused, and why."""

import argparse
import collections
import enum
import gzip
import io
import json
import pathlib
import pickle
import sys
import tarfile
import types
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.models.weight_files import read_state
from falcon_edge.models.weights import load_weights
from falcon_edge.notices import Notice

pytestmark = pytest.mark.filterwarnings("ignore::falcon_edge.notices.Notice")


def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()


def refused(call, *arguments, **choices):
    with pytest.raises(BadInput) as caught:
        call(*arguments, **choices)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def said(call, *arguments, **choices):
    """The notices of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*arguments, **choices)
    return [str(warning.message) for warning in caught if warning.category is Notice]


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
        (
            lambda state: {"a": torch.zeros(1)},
            "they lack 0.weight, 0.bias, 1.weight and 5 more; they have the unknown a",
        ),
        (
            lambda state: {f"net.{key}": value for key, value in without(state, "0.bias").items()},
            "weights under net do not fit the network: they lack 0.bias",
        ),
        (lambda state: state | {"4.weight": torch.zeros(3, 16, dtype=torch.int8)}, "it is int8, not float32"),
        (lambda state: state | {"4.weight": torch.zeros(3, 16, dtype=torch.complex64)}, "it is complex"),
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
    reason = "a folder; name the file of weights in it" if name == "folder.pt" else "no such weights file"
    assert refused(read_state, tmp_path / name) == f"{tmp_path / name}: {reason}"


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


# What trainers write


class Settings(dict):
    """Of another package, as far as a file knows: what Lightning and others leave beside the weights."""


class Phase(enum.Enum):
    TRAIN = 1


class History(list):
    pass


class Network(nn.Linear):
    pass


def prefixed(prefix, state):
    return {prefix + key: value for key, value in state.items()}


def beside():
    """What stands beside weights."""
    return {
        "args": argparse.Namespace(lr=0.1, milestones=[3, 5]),
        "cfg": types.SimpleNamespace(name="net"),
        "best_acc": np.float64(93.5),
        "epoch": np.int64(7),
        "random": np.random.default_rng(0).bit_generator.state,
        "curve": np.linspace(0, 1, 5),
        "meters": collections.defaultdict(list, loss=[0.5]),
        "folder": pathlib.PurePosixPath("runs/1"),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(4, 1, 3, 3)}}, "param_groups": [{"lr": 0.1}]},
    }


def outsiders(monkeypatch):
    """Objects of a package that is not there when they are read."""
    module = types.ModuleType("a_trainer")
    for kind in (Settings, Phase, History, Network):
        monkeypatch.setattr(kind, "__module__", "a_trainer")
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "a_trainer", module)
    return {"hyper_parameters": Settings(lr=0.1), "phase": Phase.TRAIN, "log": History([1]), "best": Network(2, 2)}


SHAPES = {
    "model_state_dict": lambda state: beside() | {"model_state_dict": state},
    "net": lambda state: beside() | {"net": state, "acc": 0.9},
    "params": lambda state: {"params": state},
    "params_ema": lambda state: {"params_ema": state},
    "two levels": lambda state: {"checkpoint": {"model": {"weights": state}}},
    "Lightning": lambda state: {
        "state_dict": prefixed("model.", state) | {"criterion.weight": torch.ones(3)},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5)}},
    },
    "fairseq": lambda state: {"args": argparse.Namespace(arch="net"), "model": state, "extra_state": {"epoch": 3}},
    "DDP of a compiled one": lambda state: {"model": prefixed("module._orig_mod.", state)},
    "a compiled DDP": lambda state: prefixed("_orig_mod.module.", state),
    "averaged": lambda state: prefixed("module.", state) | {"n_averaged": torch.tensor(3)},
    "backbone": lambda state: prefixed("backbone.", state),
    "a profiled one": lambda state: state | {"total_ops": torch.zeros(1), "0.total_params": torch.zeros(1)},
    "parameters": lambda state: {
        key: value if "running" in key or "batches" in key else nn.Parameter(value) for key, value in state.items()
    },
    "options among the weights": lambda state: state | {"epoch": 3, "name": "net", "arch": None},
    "a part wrapped": lambda state: {key.replace("1.", "1._orig_mod."): value for key, value in state.items()},
    "a part in parallel": lambda state: {key.replace("1.", "1.module."): value for key, value in state.items()},
    "both the same": lambda state: {"model": state, "model_ema": dict(state)},
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_checkpoints_of_trainers(tmp_path, shape, old):
    trained, network = small(), small()
    path = tmp_path / "checkpoint.ckpt"
    torch.save(SHAPES[shape](trained.state_dict()), path, _use_new_zipfile_serialization=not old)
    load_weights(network, path)
    assert same(network, trained)


def test_objects_of_a_package_that_is_not_there(tmp_path, monkeypatch):
    trained, network, path = small(), small(), tmp_path / "last.ckpt"
    with monkeypatch.context() as patch:
        torch.save(outsiders(patch) | {"state_dict": prefixed("net.", trained.state_dict())}, path)
    assert "a_trainer" not in sys.modules
    load_weights(network, path)
    assert same(network, trained)
    assert "a_trainer" not in sys.modules


def test_two_that_fit_are_asked_about(tmp_path):
    trained, averaged, path = small(), small(), tmp_path / "w.pth"
    state = {"state_dict": trained.state_dict(), "state_dict_ema": prefixed("module.", averaged.state_dict())}
    torch.save(state, path)
    network = small()
    line = refused(load_weights, network, path)
    assert line.endswith("choose with `weights_key`: state_dict, state_dict_ema.module")
    for key, expected in (("state_dict", trained), ("state_dict_ema", averaged), ("state_dict_ema.module", averaged)):
        load_weights(network, path, key)
        assert same(network, expected)
    assert refused(load_weights, network, path, "ema") == f"{path}: holds no weights under ema"


def test_the_key_chooses_by_the_beginning_of_names_too(tmp_path):
    student, teacher, network = small(), small(), small()
    state = prefixed("student.", student.state_dict()) | prefixed("teacher.", teacher.state_dict())
    path = write(tmp_path / "w.safetensors", state)
    assert "choose with `weights_key`: student, teacher" in refused(load_weights, network, path)
    load_weights(network, path, "teacher")
    assert same(network, teacher)


def test_what_is_left_out_or_converted_is_said(tmp_path):
    trained, network = small().half(), small()
    path = tmp_path / "w.pt"
    torch.save(prefixed("model.", trained.state_dict()) | {"loss.weight": torch.ones(3)}, path)
    assert said(load_weights, network, path) == [
        f"{path}: its weights are float16 and are converted to float32",
        f"{path}: the weights under model are taken; 1 tensors beside them are not used",
    ]
    torch.save({"model": small().state_dict()}, path)
    assert said(load_weights, network, path) == []


def test_numbers_that_float32_cannot_hold_are_not_converted(tmp_path):
    state = {key: value.double() for key, value in small().state_dict().items()}
    state["4.bias"][0] = 1e300
    assert "4.bias holds values that are not finite" in refused(load_weights, small(), write(tmp_path / "w.pt", state))


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 2, bias=False)
        self.other = nn.Linear(2, 2, bias=False)
        self.other.weight = self.one.weight
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))


def test_a_mask_of_the_network_may_be_infinite_and_tied_weights_are_one(tmp_path):
    trained, network = Masked(), Masked()
    state = trained.state_dict()
    load_weights(network, write(tmp_path / "w.pt", without(state, "other.weight")))
    assert same(network, trained)
    differing = state | {"other.weight": torch.zeros(2, 2)}
    line = refused(load_weights, network, write(tmp_path / "w.pt", differing))
    assert "other.weight and one.weight are one tensor in the network, but differ here" in line
    line = refused(load_weights, network, write(tmp_path / "w.pt", state | {"mask": torch.full((2,), -torch.inf)}))
    assert "mask holds values that are not finite" in line


def of_zip(*names):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return held.getvalue()


def of_tar():
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pt"))
    return held.getvalue()


def of_numpy():
    held = io.BytesIO()
    np.savez(held, weight=np.zeros(3))
    return held.getvalue()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "pytorch_model.bin", "w"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "it is a pointer of Git LFS"),
        (gzip.compress(b"weights", mtime=0), "it is a gzip archive; unpack it first"),
        (of_tar(), "it is a tar archive; unpack it first"),
        (of_zip("weights.pt"), "it is a zip archive of weights.pt; unpack it first"),
        (of_zip(), "it is a zip archive of nothing"),
        (of_zip("net/data.pkl", "net/constants.pkl", "net/code/__torch__.py"), "it is a TorchScript archive"),
        (of_zip("net/archive_format", "net/models/model.json"), "it is an archive of torch.export"),
        (of_numpy(), "it is a NumPy archive"),
        (b"\n <!DOCTYPE html><html>not found", "it is a web page; the download went wrong"),
        (
            json.dumps({"weight_map": {"a": "m-1.bin", "b": "m-2.bin", "c": "m-1.bin"}}).encode(),
            "it is the index of weights in 2 files (m-1.bin, m-2.bin); join them in one",
        ),
        (b'{"lr": 0.1}', "it is a text"),
        (b"\x89HDF\r\n\x1a\n123", "it is an HDF5 file"),
        (b"\x1c\0\0\0TFL3\0\0", "it is a TFLite model"),
        (pickle.dumps({"a": 1}), "it is a pickle that torch.save did not write"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,  # archives hold the time: no name of a test
)
def test_files_are_called_what_they_are(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    line = refused(load_weights, small(), tmp_path / name)
    assert line.startswith(f"{tmp_path / name}: not a weights file")
    assert reason in line


def test_a_program_of_torch_is_called_one(tmp_path):
    torch.jit.trace(small(), torch.zeros(1, 1, 4, 4)).save(tmp_path / "w.pt")
    assert "it is a TorchScript archive" in refused(load_weights, small(), tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.bin", "w"])
def test_safetensors_under_any_name(tmp_path, name):
    trained, network = small(), small()
    save_file(trained.state_dict(), tmp_path / name)
    load_weights(network, tmp_path / name)
    assert same(network, trained)


def test_a_state_dict_that_calls_itself_safetensors(tmp_path):
    trained, network = small(), small()
    torch.save(trained.state_dict(), tmp_path / "w.safetensors")
    load_weights(network, tmp_path / "w.safetensors")
    assert same(network, trained)


@pytest.mark.parametrize("where", ["it", "its 'model'"])
def test_a_pickled_network_of_another_package_is_called_one(tmp_path, monkeypatch, where):
    with monkeypatch.context() as patch:
        held = outsiders(patch)["best"]
        torch.save(held if where == "it" else {"epoch": 3, "model": held}, tmp_path / "best.pt")
    line = refused(load_weights, small(), tmp_path / "best.pt")
    assert f"{where} is a whole pickled object (a_trainer.Network), not the weights of one" in line


@pytest.mark.parametrize(
    ("strange", "word"),
    [
        (lambda: torch.zeros(3, 16).to_sparse(), "sparse"),
        (lambda: torch.quantize_per_tensor(torch.zeros(3, 16), 0.1, 0, torch.qint8), "quantized"),
        (lambda: torch.zeros(3, 16, device="meta"), "on the device meta, without numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, about quantized tensors
def test_tensors_that_hold_no_plain_numbers(tmp_path, strange, word):
    torch.save(small().state_dict() | {"4.weight": strange()}, tmp_path / "w.pt")
    line = refused(load_weights, small(), tmp_path / "w.pt")
    assert line.endswith(f"4.weight is no plain tensor of real numbers: it is {word}")


NAMES = st.lists(st.sampled_from(["module", "_orig_mod", "model", "net", "backbone", "encoder"]), max_size=4)


@given(parts=NAMES, inner=st.booleans(), nested=NAMES, extra=st.booleans())
def test_any_wrapping_gives_the_weights_back(tmp_path_factory, parts, inner, nested, extra):
    trained, network = small(), small()
    state = trained.state_dict()
    if inner:
        state = {key.replace(".", "._orig_mod."): value for key, value in state.items()}
    state = prefixed("".join(f"{part}." for part in parts), state)
    if extra and set(parts) - {"_orig_mod"}:
        state["step"] = torch.tensor(3)
    for name in reversed(nested):
        state = {name: state, "epoch": 3}
    path = tmp_path_factory.mktemp("weights") / "w.pt"
    torch.save(state, path)
    load_weights(network, path)
    assert same(network, trained)
