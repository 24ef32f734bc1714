"""pack: a network as it is."""

import os
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from falcon_edge.bundle import open_bundle
from falcon_edge.data import Split
from falcon_edge.data.formats import data_name
from falcon_edge.errors import BadInput
from falcon_edge.notices import Notice
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.pack import pack_bundle


def test_a_packed_network_answers_as_it_did(tmp_path, choice):
    network = open_network(choice).module
    torch.save(network.state_dict(), tmp_path / "trained.pt")
    manifest = pack_bundle(replace(choice, weights=tmp_path / "trained.pt", seed=9), tmp_path / "net")
    images = torch.randn(3, 1, 28, 28)
    packed = open_network(Choice(str(tmp_path / "net.falcon"))).module
    with torch.no_grad():
        assert torch.equal(packed(images), network(images))
    assert manifest == open_bundle(tmp_path / "net.falcon").manifest
    assert manifest.lineage.role == "standard"
    assert manifest.lineage.parent is None
    (step,) = manifest.lineage.steps
    assert (step.verb, step.data) == ("pack", None)
    assert step.options == {"weights": "trained.pt", "seed": 9}


def test_data_gives_labels_normalisation_and_images(tmp_path, choice, stripes):
    manifest = pack_bundle(choice, tmp_path / "net", data=str(stripes))
    assert manifest.labels == ("rows", "columns", "noise")
    assert manifest.input.mean != (0.5,)
    assert manifest.golden.vectors[0].pixels_shape == (12, 12, 1)
    assert manifest.lineage.steps[0].data == "stripes.npz"
    (measured,) = manifest.quality
    assert (measured.data, measured.split, measured.samples) == ("stripes.npz", "test", 90)


def test_a_users_network(tmp_path, user_module):
    user_module("def net(): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(400, 2))")
    manifest = pack_bundle(Choice("users_own:net", input_shape=(1, 12, 12)), tmp_path / "net")
    assert manifest.architecture.source == "users_own:net"
    assert manifest.parameters == 36 + 4 + 800 + 2
    assert manifest.macs == 100 * 36 + 800
    assert open_network(Choice(str(tmp_path / "net.falcon"))).labels == ("0", "1")


def test_a_bundle_is_not_packed_again(standard, tmp_path):
    with pytest.raises(BadInput, match="is a bundle already"):
        pack_bundle(Choice(str(standard)), tmp_path / "net")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("change", "data", "said"),
    [
        ({"weights": Path("nothing.pt")}, None, "no such weights file"),
        ({}, "nothing", "no such data set"),
        ({"input_shape": (1, 2, 2)}, None, "does not take an input"),
    ],
)
def test_bad_input_leaves_nothing(tmp_path, choice, change, data, said):
    with pytest.raises(BadInput, match=said):
        pack_bundle(replace(choice, **change), tmp_path / "folder" / "net", data=data)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("data", "name"),
    [("sample", "sample"), ("/a/b/fashion-mnist/", "fashion-mnist"), ("b/x.npz", "x.npz"), (".", Path.cwd().name)],
)
def test_data_is_known_by_its_last_name(data, name):
    assert data_name(data) == name


def test_parameters_that_no_answer_depends_on_are_said(tmp_path, user_module):
    user_module("""
    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Flatten(), nn.Linear(144, 2))
            self.spare = nn.Linear(3, 3)

        def forward(self, x):
            return self[1](self[0](x))
    """)
    with pytest.warns(Notice, match="no answer depends on 12 of its 302 parameters"):
        manifest = pack_bundle(Choice("users_own:Net", input_shape=(1, 12, 12)), tmp_path / "net")
    assert (manifest.parameters, manifest.macs) == (302, 288)


@pytest.fixture
def trained(choice, standard):
    return replace(choice, weights=standard / "weights.safetensors")


def notices(call, *arguments, **choices):
    """What a call returned, and what it said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*arguments, **choices)
    return result, [str(warning.message) for warning in caught if warning.category is Notice]


def test_top1_is_measured_and_a_guessed_normalisation_is_said(tmp_path, trained, standard, stripes):
    manifest, said = notices(pack_bundle, trained, tmp_path / "net", data=str(stripes))
    (before,) = open_bundle(standard).manifest.quality
    assert manifest.quality == (before,)
    guessed, prepared = said
    mean = ",".join(f"{number:.6g}" for number in manifest.input.mean)
    assert guessed.startswith(f"vgg8: its normalisation is a guess, the data's own (`mean` {mean} `std` ")
    assert prepared == f"{stripes}: its images are resized to 28 x 28, whatever their proportions, for vgg8"


@pytest.mark.parametrize(("mean", "std"), [((0.0,), (1 / 255,)), ((0.9,), (0.01,))])
def test_a_normalisation_that_is_clearly_better_is_said(tmp_path, trained, stripes, mean, std):
    wrong = replace(trained, mean=mean, std=std)
    manifest, said = notices(pack_bundle, wrong, tmp_path / "net", data=str(stripes))
    assert (manifest.input.mean, manifest.input.std) == (mean, std)
    found = re.fullmatch(
        r"vgg8: top-1 is ([\d.]+)% on 90 test images, and ([\d.]+)% with another normalisation, "
        r"(.*): `mean` ([\d.]+) `std` ([\d.]+)",
        said[-1],
    )
    assert found is not None, said
    assert float(found[1]) == pytest.approx(100 * manifest.quality[0].value, abs=0.05)
    right = replace(trained, mean=(float(found[4]),), std=(float(found[5]),))
    manifest, said = notices(pack_bundle, right, tmp_path / "right", data=str(stripes))
    assert float(found[2]) == pytest.approx(100 * manifest.quality[0].value, abs=0.05)
    assert len(said) == 1
    assert "its images are resized" in said[0]


def test_a_network_that_guesses_and_one_without_weights_are_said(tmp_path, choice, trained, stripes, standard):
    said = notices(pack_bundle, choice, tmp_path / "fresh", data=str(stripes))[1]
    assert said[0] == "vgg8: no weights were given, so that it has fresh random ones"
    state = load_file(standard / "weights.safetensors")
    last = next(key for key in reversed(state) if key.endswith("bias") and state[key].shape == (3,))
    save_file(state | {last: torch.tensor([0.0, 0.0, 1e6])}, tmp_path / "w.safetensors")
    said = notices(
        pack_bundle, replace(trained, weights=tmp_path / "w.safetensors"), tmp_path / "net", data=str(stripes)
    )[1]
    assert "top-1 is 33.3% on 90 test images, no better than guessing" in said[-1]


def test_images_are_spread_over_a_sorted_split():
    split = Split(np.zeros((10_000, 1, 1, 1), np.uint8), np.arange(10_000) // 1000)
    assert np.bincount(split.spread(250).labels).tolist() == [25] * 10
    assert split.spread(10_000) is split
