"""The network that a step works on: what is filled in, what is refused, what a bundle gives back."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from falcon_edge.bundle import open_bundle
from falcon_edge.data import Dataset, Split, channel_statistics, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms.falcon import FalconConv2d
from falcon_edge.manifest import Step
from falcon_edge.models.sources import build
from falcon_edge.notices import Notice
from falcon_edge.place import hold
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.writing import write_network

SMALL = Choice("vgg8", width=0.125)


def dataset(shape, classes=3, count=12, sizes=None):
    """Random images (height, width, channels); with `sizes` a list of them, as a folder would give."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    if sizes is not None:
        images = [random.integers(0, 256, (*size, shape[2]), dtype=np.uint8) for size in sizes]
        count = len(images)
    names = tuple(f"class {number}" for number in range(classes))
    return Dataset("random", names, Path("random"), train=Split(images, np.arange(count) % classes))


def refused(choice, data=None):
    with pytest.raises(BadInput) as caught:
        open_network(choice, data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("choice", "data", "shape", "classes"),
    [
        (SMALL, None, (1, 28, 28), 10),
        (SMALL, dataset((12, 12, 3)), (3, 28, 28), 3),
        (replace(SMALL, model="vgg19"), dataset((28, 28, 1)), (1, 32, 32), 3),
        (replace(SMALL, model="vgg19", input_shape=(3, 32, 32)), dataset((28, 28, 1)), (3, 32, 32), 3),
        (replace(SMALL, model="resnet18"), None, (3, 224, 224), 1000),
        (replace(SMALL, model="resnet18"), dataset((12, 12, 1)), (3, 224, 224), 3),
        (replace(SMALL, model="resnet18", input_shape=(3, 40, 50)), None, (3, 40, 50), 1000),
        (replace(SMALL, num_classes=7), None, (1, 28, 28), 7),
    ],
)
def test_input_and_classes_come_from_the_choice_the_data_or_the_paper(choice, data, shape, classes):
    opened = open_network(choice, data)
    assert opened.input.shape == shape
    assert len(opened.labels) == classes
    with torch.no_grad():
        assert opened.module(torch.zeros(2, *shape)).shape == (2, classes)
    assert not opened.module.training


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (dataset((12, 14, 1)), (1, 12, 14)),
        (dataset((12, 12, 3)), (3, 12, 12)),
        (None, (3, 224, 224)),
    ],
)
def test_the_input_of_a_users_network_is_that_of_the_data(user_module, data, shape):
    user_module("""
    def net(num_classes=3, in_channels=3):
        pool = nn.AdaptiveAvgPool2d(1)
        return nn.Sequential(nn.Conv2d(in_channels, 4, 3), pool, nn.Flatten(), nn.Linear(4, num_classes))
    """)
    assert open_network(Choice("users_own:net"), data).input.shape == shape


def test_a_users_network_and_images_of_several_sizes_need_the_input(user_module):
    user_module(
        "def net(num_classes=3): return nn.Sequential(nn.Conv2d(3, num_classes, 3), nn.Flatten(2), Mean())\n"
        "class Mean(nn.Module):\n    def forward(self, x): return x.mean(2)"
    )
    data = dataset((0, 0, 3), sizes=[(9, 9), (12, 8), (10, 10)])
    assert "images differ in size" in refused(Choice("users_own:net"), data)
    assert "with `input_shape`" in refused(Choice("users_own:net"), data)
    assert open_network(Choice("users_own:net", input_shape=(3, 9, 8)), data).input.shape == (3, 9, 8)
    assert open_network(Choice("resnet18"), data).input.shape == (3, 224, 224)


def test_labels_are_the_datas_or_numbers(stripes):
    assert open_network(SMALL, open_dataset(stripes)).labels == ("rows", "columns", "noise")
    assert open_network(replace(SMALL, num_classes=2)).labels == ("0", "1")


def test_normalisation(stripes):
    data = open_dataset(stripes)

    def spec(choice, data=None):
        opened = open_network(choice, data)
        return opened.input.mean, opened.input.std

    assert spec(replace(SMALL, mean=(0.1,), std=(0.2,)), data) == ((0.1,), (0.2,))
    assert spec(SMALL, data) == channel_statistics(data.train)
    assert spec(SMALL) == ((0.5,), (0.5,))
    mean, std = channel_statistics(data.train)
    assert spec(replace(SMALL, input_shape=(3, 28, 28)), data) == (mean * 3, std * 3)
    assert spec(replace(SMALL, model="resnet18"))[0] == (0.485, 0.456, 0.406)
    assert spec(replace(SMALL, model="resnet18", input_shape=(3, 32, 32)))[0] == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": (0.5,)}, "`mean` and `std` go together"),
        ({"std": (0.5,)}, "`mean` and `std` go together"),
        ({"mean": (0.5, 0.5), "std": (0.5, 0.5)}, "`mean` and `std` need 1 numbers each"),
        ({"mean": (0.5,), "std": (0.0,)}, "std above 0"),
        ({"mean": (float("nan"),), "std": (0.5,)}, "are finite numbers"),
        ({"mean": (0.5,), "std": (float("nan"),)}, "are finite numbers"),
        ({"num_classes": 0}, "classes and channels are at least 1"),
        ({"input_shape": (1, 2, 2)}, "vgg8 does not take an input of 1x2x2"),
        ({"weights": Path("nothing.pt")}, "nothing.pt: no such weights file"),
        ({"model": "vgg99"}, "vgg99: not a bundle and no known network"),
        ({"model": "nothing.falcon"}, "nothing.falcon: "),
    ],
)
def test_choices_that_are_refused(change, said):
    assert said in refused(replace(SMALL, **change))


def test_data_of_other_classes_or_channels_is_refused():
    data = dataset((12, 12, 1), classes=4)
    assert "vgg8 has 5 classes, but the data has 4: use `num_classes`" in refused(replace(SMALL, num_classes=5), data)
    assert "an input of 5 cannot be made of them" in refused(replace(SMALL, input_shape=(5, 28, 28)), data)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("nn.LSTM(12, 3)", "does not take an input of 1x12x12"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(7, 3))", "does not take an input of 1x12x12"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(144, 9))", "has 9 classes, but the data has 3"),
    ],
)
def test_networks_that_are_no_classifiers_of_this_data(user_module, body, said):
    user_module(f"def net(in_channels=1): return {body}")
    assert said in refused(Choice("users_own:net"), dataset((12, 12, 1)))


def test_files_and_folders_that_are_no_bundles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pt").write_text("x")
    (tmp_path / "things").mkdir()
    for name in ("weights.pt", "things"):
        assert f"give a network's name and `weights` {name}" in refused(Choice(name))


def test_a_folder_with_the_name_of_a_network_is_not_in_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vgg8").mkdir()
    assert open_network(SMALL).architecture.source == "vgg8"


def test_seeds_decide_the_weights():
    def weights(seed):
        return torch.cat([tensor.flatten() for tensor in open_network(replace(SMALL, seed=seed)).module.parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


def test_weights_are_loaded(tmp_path):
    trained = open_network(replace(SMALL, seed=1)).module
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    loaded = open_network(replace(SMALL, weights=tmp_path / "w.safetensors")).module
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in trained.state_dict().items())


# What a bundle holds, and what it gives back


def test_a_bundle_says_what_is_in_it(compressed):
    manifest = open_bundle(compressed).manifest
    data = (compressed / "weights.safetensors").read_bytes()
    assert manifest.lineage.identity == hashlib.sha256(data).hexdigest()
    network = open_network(Choice(str(compressed))).module
    assert manifest.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert sorted(load_file(compressed / "weights.safetensors")) == sorted(network.state_dict())
    assert manifest.name == "compressed"
    assert manifest.outputs[0].shape == (3,)
    assert manifest.tools["torch"] == torch.__version__
    assert manifest.architecture.model_dump() == {
        "source": "vgg8",
        "num_classes": 3,
        "in_channels": 1,
        "width": 0.125,
        "model_args": {},
        "unit": None,
    }


def test_a_compressed_network_comes_back_as_it_was(compressed):
    opened = open_network(Choice(str(compressed)))
    assert opened.compressed
    layers = [module for module in opened.module.modules() if isinstance(module, FalconConv2d)]
    assert [layer.rank for layer in layers] == [each.sizes[0] for each in opened.plan.replaced.values()] == [2] * 5
    assert not any(module.training for module in opened.module.modules())
    state = load_file(compressed / "weights.safetensors")
    assert all(torch.equal(state[name], tensor) for name, tensor in opened.module.state_dict().items())


def test_a_bundle_does_not_take_the_options_of_a_network(standard):
    assert open_network(Choice(str(standard), seed=5)).labels == ("rows", "columns", "noise")
    for option in ({"weights": Path("w.pt")}, {"num_classes": 3}, {"width": 0.5}, {"input_shape": (1, 28, 28)}):
        assert "a bundle has its own" in refused(Choice(str(standard), **option))


def test_a_bundle_refuses_data_of_other_classes(standard):
    assert "has 3 classes, but the data has 4" in refused(Choice(str(standard)), dataset((12, 12, 1), classes=4))


@pytest.mark.parametrize("damage", ["another network's", "none", "no plan", "not weights"])
def test_a_bundle_whose_parts_do_not_belong_together(standard, tmp_path, damage):
    """Its hashes are right: somebody made it so."""
    path = tmp_path / "net.falcon"
    shutil.copytree(standard, path)
    match damage:
        case "another network's":
            save_file(build("vgg8", width=0.25).state_dict(), path / "weights.safetensors")
        case "none":
            (path / "weights.safetensors").unlink()
        case "no plan":
            (path / "plan.json").unlink()
        case _:
            (path / "weights.safetensors").write_bytes(b"weights")
    reseal(path)
    line = refused(Choice(str(path)))
    assert str(path) in line


def reseal(path):
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(path).as_posix()}\n"
        for file in path.rglob("*")
        if file.is_file() and file.name != "SHA256SUMS"
    ]
    (path / "SHA256SUMS").write_text("".join(sorted(lines, key=lambda line: line[66:])))


def test_same_subject_same_bytes(tmp_path, stripes):
    data = open_dataset(stripes)
    for folder in ("a", "b"):
        step = Step(verb="pack", options={"b": 1, "a": [1.5]})
        with hold(tmp_path / folder / "net") as place:
            write_network(place, open_network(SMALL, data).after(step), data)
    one, other = (tmp_path / folder / "net.falcon" for folder in ("a", "b"))
    assert (one / "SHA256SUMS").read_bytes() == (other / "SHA256SUMS").read_bytes()
    assert open_bundle(one).manifest == open_bundle(other).manifest


def test_no_place_of_this_machine_is_in_a_bundle(compressed, stripes):
    text = (compressed / "manifest.json").read_text() + (compressed / "plan.json").read_text()
    assert stripes.name in text
    for place in (compressed.parent, stripes.parent, Path.cwd()):
        assert str(place) not in text


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("torch.compile(nn.Sequential(nn.Flatten(), nn.Linear(144, 3)))", "torch.compile's or a parallel wrapper"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(144, 3)).half()", "its float16 weights were converted to float32"),
    ],
)
def test_what_is_done_to_a_users_network_is_said(user_module, body, word):
    user_module(f"def net(): return {body}")
    with pytest.warns(Notice, match=f"users_own:net: {word}"):
        opened = open_network(Choice("users_own:net", input_shape=(1, 12, 12)))
    assert list(opened.module.state_dict()) == ["1.weight", "1.bias"]
    assert opened.module(torch.zeros(1, 1, 12, 12)).dtype == torch.float32


def test_lazy_layers_take_the_shape_of_the_input_and_weights_that_fit(user_module, tmp_path):
    user_module("def net(): return nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(3))")
    choice = Choice("users_own:net", input_shape=(1, 12, 12))
    trained = open_network(choice).module
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    opened = open_network(replace(choice, seed=7, weights=tmp_path / "w.safetensors"))
    assert torch.equal(opened.module[0].weight, trained[0].weight)
    with hold(tmp_path / "net") as place:
        write_network(place, opened.after(Step(verb="pack")), None)
    again = open_network(Choice(str(tmp_path / "net.falcon"))).module
    assert torch.equal(again[2].weight, trained[2].weight)


def test_a_network_whose_answers_are_no_numbers_is_refused(user_module):
    user_module("""
    def net():
        network = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
        nn.init.constant_(network[1].bias, float("nan"))
        return network
    """)
    assert "values that are not finite" in refused(Choice("users_own:net", input_shape=(1, 12, 12)))


def test_one_of_several_weights_is_chosen_by_its_key(tmp_path):
    first, second = (open_network(replace(SMALL, seed=seed)).module.state_dict() for seed in (1, 2))
    torch.save({"model": first, "model_ema": second}, tmp_path / "w.pt")
    choice = replace(SMALL, weights=tmp_path / "w.pt")
    assert "choose with `weights_key`: model, model_ema" in refused(choice)
    loaded = open_network(replace(choice, weights_key="model_ema")).module.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in second.items())
    assert "give it with `weights`" in refused(replace(SMALL, weights_key="model"))


def test_layers_that_a_network_has_in_a_list_of_its_own_are_refused(user_module):
    """Weights that are in no state dict would be fresh ones each time that a bundle is opened."""
    user_module("""
        class Net(nn.Sequential):
            def __init__(self):
                super().__init__(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
                self.more = [nn.Conv2d(1, 1, 5)]

            def forward(self, x):
                return super().forward(self.more[0](x))

        def net(): return Net()
    """)
    said = "users_own:net: computes with 1x1x5x5 weights that are none of its parameters, and no bundle would keep them"
    with pytest.raises(BadInput, match=said):
        open_network(Choice("users_own:net", input_shape=(1, 12, 12)))
