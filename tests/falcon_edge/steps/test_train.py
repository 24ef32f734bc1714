"""train: from data to a bundle, and what it says about how it came to be."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from falcon_edge.bundle import create_bundle, open_bundle
from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Golden
from falcon_edge.steps.held_out import HELD_OUT
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.train import train_bundle
from falcon_edge.training.images import Images


def contents(bundle):
    return {file.name: file.read_bytes() for file in bundle.rglob("*") if file.is_file()}


def right_answers(bundle, split):
    """Share of the images whose class the bundle's network finds."""
    opened = open_network(Choice(str(bundle)))
    images = Images(split, opened.input)
    with torch.no_grad():
        found = opened.module(images.inputs(images.pixels(np.arange(len(images))))).argmax(1)
    return float((found == images.labels).double().mean())


def test_it_learns_and_says_how_well(standard, stripes):
    (measured,) = open_bundle(standard).manifest.quality
    assert (measured.data, measured.split, measured.samples) == ("stripes.npz", "test", 90)
    assert measured.value == pytest.approx(right_answers(standard, open_dataset(stripes).test))
    assert measured.value > 0.8


def test_the_lineage_is_the_recipe_and_the_epoch_that_was_kept(standard, recipe):
    lineage = open_bundle(standard).manifest.lineage
    assert (lineage.role, lineage.parent) == ("standard", None)
    (step,) = lineage.steps
    assert (step.verb, step.data) == ("train", "stripes.npz")
    assert 1 <= step.options.pop("best_epoch") <= recipe.epochs
    assert step.options.pop(HELD_OUT) is not None
    assert step.options == recipe.said


def test_same_words_same_bytes_and_nothing_else_is_left(standard, tmp_path, stripes, choice, recipe):
    train_bundle(choice, str(stripes), tmp_path / "standard", recipe)
    assert contents(tmp_path / "standard.falcon") == contents(standard)
    assert os.listdir(tmp_path) == ["standard.falcon"]


def test_the_test_images_decide_nothing(standard, tmp_path, stripes, choice, recipe):
    """Other test images and labels: the same weights, another accuracy."""
    arrays = dict(np.load(stripes))
    arrays["x_test"], arrays["y_test"] = 255 - arrays["x_test"][:30], (arrays["y_test"][:30] + 1) % 3
    np.savez(tmp_path / "stripes.npz", **arrays)
    manifest = train_bundle(choice, str(tmp_path / "stripes.npz"), tmp_path / "standard", recipe)
    expected = open_bundle(standard).manifest
    assert manifest.lineage == expected.lineage
    assert manifest.quality[0].value < expected.quality[0].value


def test_without_test_images_there_is_no_accuracy(tmp_path, stripes, choice, recipe):
    arrays = {name: array for name, array in np.load(stripes).items() if "test" not in name}
    np.savez(tmp_path / "two.npz", **arrays)
    manifest = train_bundle(choice, str(tmp_path / "two.npz"), tmp_path / "net", replace(recipe, epochs=1))
    assert manifest.quality == ()


def test_without_validation_images_some_are_held_out(tmp_path, stripes, choice, recipe):
    arrays = {name: array for name, array in np.load(stripes).items() if "val" not in name}
    np.savez(tmp_path / "two.npz", **arrays)
    said = []
    train_bundle(
        choice,
        str(tmp_path / "two.npz"),
        tmp_path / "net",
        replace(recipe, epochs=1),
        progress=lambda done, total, text: said.append((done, total)),
    )
    assert said[-1] == (6, 6)  # 216 images of 240 in batches of 32


class Stopped(Exception):
    pass


def stop_in_epoch_3(done, total, text):
    if text.startswith("epoch 3/"):
        raise Stopped


def test_a_stopped_run_goes_on_to_the_same_bytes(standard, tmp_path, stripes, choice, recipe):
    with pytest.raises(Stopped):
        train_bundle(choice, str(stripes), tmp_path / "standard", recipe, progress=stop_in_epoch_3)
    assert os.listdir(tmp_path) == [".standard.checkpoint"]
    texts = []
    train_bundle(
        choice,
        str(stripes),
        tmp_path / "standard",
        recipe,
        progress=lambda done, total, text: texts.append(text),
    )
    assert not any(text.startswith(("epoch 1/", "epoch 2/")) for text in texts)
    assert contents(tmp_path / "standard.falcon") == contents(standard)
    assert os.listdir(tmp_path) == ["standard.falcon"]


def test_the_training_is_not_lost_if_the_bundle_cannot_be_written(tmp_path, stripes, choice, recipe):
    """Somebody puts a file where the bundle goes while it is being trained."""
    short, blocked = replace(recipe, epochs=1), tmp_path / "net.falcon"

    def block(done, total, text):
        if "loss" in text:
            blocked.write_text("a novel")

    with pytest.raises(BadInput, match="exists and is not a bundle"):
        train_bundle(choice, str(stripes), blocked, short, progress=block)
    assert blocked.read_text() == "a novel"
    blocked.unlink()
    texts = []
    train_bundle(choice, str(stripes), blocked, short, progress=lambda done, total, text: texts.append(text))
    assert texts == []
    assert os.listdir(tmp_path) == ["net.falcon"]


@pytest.mark.parametrize("kind", ["a file", "a folder of something else", "a file above it"])
def test_a_place_that_cannot_be_written_is_found_before_the_training(tmp_path, stripes, choice, recipe, kind):
    output = tmp_path / "net.falcon"
    match kind:
        case "a file":
            output.write_text("a novel")
        case "a folder of something else":
            output.mkdir()
            (output / "novel.txt").write_text("a novel")
        case _:
            output = tmp_path / "file" / "net.falcon"
            (tmp_path / "file").write_text("a novel")
    texts = []
    with pytest.raises(BadInput, match=r"net\.falcon: (exists and is not a bundle|cannot be written)"):
        train_bundle(choice, str(stripes), output, recipe, progress=lambda done, total, text: texts.append(text))
    assert texts == []
    assert len(os.listdir(tmp_path)) == 1


def test_a_packed_network_is_trained_on(tmp_path, stripes, choice, recipe):
    before = pack_bundle(choice, tmp_path / "fresh", data=str(stripes))
    manifest = train_bundle(Choice(str(tmp_path / "fresh.falcon")), str(stripes), tmp_path / "trained", recipe)
    assert [step.verb for step in manifest.lineage.steps] == ["pack", "train"]
    assert manifest.lineage.parent.name == "fresh"
    assert manifest.lineage.parent.identity == before.lineage.identity != manifest.lineage.identity
    assert manifest.lineage.role == "standard"
    assert manifest.quality[0].value > 0.8


def test_what_cannot_be_trained(compressed, standard, tmp_path, stripes, choice, recipe):
    np.savez(tmp_path / "test.npz", x=np.zeros((4, 12, 12), np.uint8), y=np.array([0, 1, 2, 0]))
    np.savez(
        tmp_path / "other.npz",
        x_train=np.zeros((40, 9, 9), np.uint8),
        y_train=np.arange(40) % 3,
    )
    tests = (
        (Choice(str(compressed)), stripes, "is compressed; train a standard network"),
        (choice, tmp_path / "test.npz", "has no train split"),
        (choice, tmp_path / "nothing", "no such data set"),
        (Choice("vgg99"), stripes, "no known network"),
    )
    for model, data, said in tests:
        with pytest.raises(BadInput, match=said):
            train_bundle(model, str(data), tmp_path / "net", recipe)
    assert sorted(os.listdir(tmp_path)) == ["other.npz", "test.npz"]


def test_data_that_does_not_fit_a_bundle_is_one_line(tmp_path, user_module, stripes, recipe):
    user_module("def net(): return nn.Sequential(nn.Flatten(), nn.Linear(144, 3))")
    pack_bundle(Choice("users_own:net"), tmp_path / "net", data=str(stripes))
    np.savez(tmp_path / "other.npz", x_train=np.zeros((40, 9, 9), np.uint8), y_train=np.arange(40) % 3)
    with pytest.raises(BadInput, match="the data does not fit the network's input"):
        train_bundle(Choice(str(tmp_path / "net.falcon")), str(tmp_path / "other.npz"), tmp_path / "trained", recipe)


def test_a_checkpoint_of_another_run_is_refused(tmp_path, stripes, choice, recipe):
    with pytest.raises(Stopped):
        train_bundle(choice, str(stripes), tmp_path / "net", recipe, progress=stop_in_epoch_3)
    with pytest.raises(BadInput, match=r"\.net\.checkpoint: belongs to a run with another"):
        train_bundle(choice, str(stripes), tmp_path / "net", replace(recipe, learning_rate=0.01))


def test_an_older_bundle_is_replaced_when_asked(standard, tmp_path, stripes, choice, recipe):
    with create_bundle(tmp_path / "net.falcon") as draft:
        draft.write("exports/old.onnx", b"old")
        draft.manifest = open_bundle(standard).manifest.model_copy(update={"golden": Golden()})
    with pytest.raises(BadInput, match=r"net\.falcon: exists already; choose another name, or replace it with `force`"):
        train_bundle(choice, "no such data", tmp_path / "net", recipe)
    manifest = train_bundle(choice, str(stripes), tmp_path / "net", replace(recipe, epochs=1), force=True)
    assert open_bundle(tmp_path / "net.falcon").manifest == manifest
    assert not (tmp_path / "net.falcon" / "exports").exists()
