"""pack: a network as it is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from falcon_edge.bundle import open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.notices import Notice
from falcon_edge.steps.pack import data_name, pack
from falcon_edge.steps.subject import Choice, open_subject


def test_a_packed_network_answers_as_it_did(tmp_path, choice):
    network = open_subject(choice).network
    torch.save(network.state_dict(), tmp_path / "trained.pt")
    manifest = pack(replace(choice, weights=tmp_path / "trained.pt", seed=9), tmp_path / "net")
    images = torch.randn(3, 1, 28, 28)
    packed = open_subject(Choice(str(tmp_path / "net.falcon"))).network
    with torch.no_grad():
        assert torch.equal(packed(images), network(images))
    assert manifest == open_bundle(tmp_path / "net.falcon").manifest
    assert manifest.lineage.role == "standard"
    assert manifest.lineage.parent is None
    (step,) = manifest.lineage.steps
    assert (step.verb, step.data) == ("pack", None)
    assert step.options == {"weights": "trained.pt", "seed": 9}


def test_data_gives_labels_normalisation_and_images(tmp_path, choice, stripes):
    manifest = pack(choice, tmp_path / "net", data=str(stripes))
    assert manifest.labels == ("rows", "columns", "noise")
    assert manifest.input.mean != (0.5,)
    assert manifest.golden.vectors[0].pixels_shape == (12, 12, 1)
    assert manifest.lineage.steps[0].data == "stripes.npz"
    assert manifest.accuracy == ()


def test_a_users_network(tmp_path, user_module):
    user_module("def net(): return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(400, 2))")
    manifest = pack(Choice("users_own:net", input_shape=(1, 12, 12)), tmp_path / "net")
    assert manifest.architecture.source == "users_own:net"
    assert manifest.parameters == 36 + 4 + 800 + 2
    assert manifest.macs == 100 * 36 + 800
    assert open_subject(Choice(str(tmp_path / "net.falcon"))).labels == ("0", "1")


def test_a_bundle_is_not_packed_again(standard, tmp_path):
    with pytest.raises(BadInput, match="is a bundle already"):
        pack(Choice(str(standard)), tmp_path / "net")
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
        pack(replace(choice, **change), tmp_path / "folder" / "net", data=data)
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
        manifest = pack(Choice("users_own:Net", input_shape=(1, 12, 12)), tmp_path / "net")
    assert (manifest.parameters, manifest.macs) == (302, 288)
