"""The batches of an epoch: the same from memory, from decoding and from other processes, and in parts of a team."""

import numpy as np
import pytest
import torch

from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec
from falcon_edge.training import images as images_module
from falcon_edge.training.batches import Batches
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.running import Running
from falcon_edge.training.team import ALONE, Team

SPEC = InputSpec(shape=(1, 12, 12), mean=(0.3,), std=(0.3,))
RECIPES = {
    "plain": Recipe(epochs=1, batch_size=32),
    "changed": Recipe(epochs=1, batch_size=32, crop_padding=2, cutout=3, mixup=0.4),
}


@pytest.fixture
def images(stripes):
    return Images(open_dataset(stripes).train, SPEC)


def batches(images, recipe, team=ALONE, workers=0):
    return list(Batches(images, recipe, team, workers).epoch(1))


def alike(one, other):
    return torch.allclose(one[0], other[0], atol=1e-6) and all(
        (a is None and b is None) or np.array_equal(a, b) for a, b in zip(one[1], other[1], strict=True)
    )


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("workers", [0, 2])
def test_decoded_by_others_they_are_the_same(stripes, images, monkeypatch, name, workers):
    expected = batches(images, RECIPES[name])
    monkeypatch.setattr(images_module, "PIXEL_CACHE_BYTES", 0)
    decoded = Images(open_dataset(stripes).train, SPEC)
    assert not decoded.kept
    found = batches(decoded, RECIPES[name], workers=workers)
    assert len(found) == len(expected) == 7
    assert all(map(alike, found, expected))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("size", [2, 4])
def test_the_parts_of_a_team_make_the_whole(images, name, size):
    parts = [batches(images, RECIPES[name], Team(rank, size)) for rank in range(size)]
    for number, (inputs, drawn) in enumerate(batches(images, RECIPES[name])):
        for rank, part in enumerate(parts):
            own = slice(rank, None, size)
            expected = type(drawn)(*(each[own] if torch.is_tensor(each) else each for each in drawn))
            assert alike(part[number], (inputs[own], expected))


def test_other_processes_draw_nothing_from_a_networks_own_chance(stripes, monkeypatch):
    monkeypatch.setattr(images_module, "PIXEL_CACHE_BYTES", 0)
    decoded, drawn = Images(open_dataset(stripes).train, SPEC), []
    for workers in (0, 1):
        torch.manual_seed(0)
        batches(decoded, RECIPES["plain"], workers=workers)
        drawn.append(torch.rand(3))
    assert torch.equal(*drawn)


def test_every_image_once_but_for_the_last_few(images):
    seen = torch.cat([drawn.images for _, drawn in batches(images, RECIPES["plain"])])
    assert len(seen) == len(seen.unique()) == 7 * 32


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"accelerator": "tpu"}, "`accelerator` tpu: there are cpu and cuda"),
        ({"accelerator": "cuda"}, "`accelerator` cuda: this machine, or this torch, has none"),
        ({"workers": -1}, "`workers` -1: at least 0"),
    ],
)
def test_what_cannot_run_is_one_line(said, error, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match=error):
        Running(**said)


@pytest.mark.parametrize("change", ["cutout", "crop_padding"])
def test_a_change_that_leaves_nothing_of_an_image_is_refused(images, change):
    batches(images, Recipe(epochs=1, **{change: 11}))
    with pytest.raises(BadInput, match=f"{change} 12: must be less than the images' shorter side, which is 12 pixels"):
        batches(images, Recipe(epochs=1, **{change: 12}))
