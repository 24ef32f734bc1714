"""Which images epochs are judged on: no network has a merit of what it, or its teacher, learned by heart."""

import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from falcon_edge.data import open_dataset
from falcon_edge.notices import Notice
from falcon_edge.steps.compress import compress
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.held_out import HELD_OUT
from falcon_edge.steps.opening import Choice, open_with_data
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.train import train, train_bundle
from falcon_edge.steps.tuning import tuned

UNKNOWN = "may have learned from all of its training images"


@pytest.fixture(scope="module")
def unsplit(stripes, tmp_path_factory):
    """The stripes without validation images."""
    path = tmp_path_factory.mktemp("unsplit") / "unsplit.npz"
    np.savez(path, **{name: array for name, array in np.load(stripes).items() if "val" not in name})
    return path


@pytest.fixture(scope="module")
def trained(unsplit, choice, recipe, tmp_path_factory):
    """On them, with seed 3."""
    path = tmp_path_factory.mktemp("trained") / "trained.falcon"
    train_bundle(choice, str(unsplit), path, replace(recipe, epochs=2, seed=3))
    return path


@pytest.fixture
def short(recipe):
    """One epoch, seed 5."""
    return replace(recipe, epochs=1, seed=5)


def compressed(network, dataset, recipe):
    """Tuned, and what was said of images."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Notice)
        made = compress(network, dataset, rank=2, recipe=recipe)
    return made, [str(each.message) for each in caught if UNKNOWN in str(each.message)]


def test_it_is_the_same_images_whatever_the_seed(trained, unsplit, short):
    network, dataset = open_with_data(Choice(str(trained)), str(unsplit))
    made, said = compressed(network, dataset, short)
    assert said == []
    assert made.step.options[HELD_OUT] == network.steps[0].options[HELD_OUT] is not None


def test_training_that_did_not_say_what_it_held_out_may_have_seen_all(trained, unsplit, short):
    network, dataset = open_with_data(Choice(str(trained)), str(unsplit))
    old = [step.model_copy(update={"options": {"seed": 0}}) for step in network.lineage.steps]
    earlier = replace(network, lineage=network.lineage.model_copy(update={"steps": tuple(old)}))
    made, said = compressed(earlier, dataset, short)
    assert len(said) == 1
    assert made.step.options[HELD_OUT] is None


def test_a_part_of_the_images_is_other_data(trained, unsplit, short):
    network, dataset = open_with_data(Choice(str(trained)), str(unsplit))
    part = replace(dataset, train=dataset.train.subset(np.arange(0, len(dataset.train), 2)))
    made, said = compressed(network, part, short)
    assert len(said) == 1
    assert made.step.options[HELD_OUT] is None


def test_a_network_from_elsewhere_may_know_all_images(choice, unsplit, short):
    network, dataset = open_with_data(choice, str(unsplit))
    made, said = compressed(network, dataset, short)
    assert len(said) == 1
    assert str(unsplit) in said[0]
    assert made.step.options[HELD_OUT] is None


def test_a_loop_of_the_users_own_may_have_seen_them(trained, unsplit, short):
    network, dataset = open_with_data(Choice(str(trained)), str(unsplit))
    made, said = compressed(tuned(network), dataset, short)
    assert len(said) == 1
    assert made.step.options[HELD_OUT] is None


def test_training_goes_on_with_the_same_images(trained, unsplit, short):
    network, dataset = open_with_data(Choice(str(trained)), str(unsplit))
    again = train(network, dataset, short)
    assert again.step.options[HELD_OUT] == network.steps[0].options[HELD_OUT]


# Networks of a user's own for the stripes; each: what is written in the place of BODY.
BODY = "nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))"
FRESH = {
    "by chance": f"def net(): return {BODY}",
    "begins with an answer of zeros": f"""
        def net():
            made = {BODY}
            nn.init.zeros_(made[-1].weight)
            return made
    """,
}
GIVEN = {
    "trained ones": f"""
        TRAINED = {BODY}.state_dict()

        def net():
            made = {BODY}
            made.load_state_dict(TRAINED)
            return made
    """,
    "all but the last layer's": f"""
        TRAINED = {BODY}[:-1].state_dict()

        def net():
            made = {BODY}
            made.load_state_dict(TRAINED, strict=False)
            return made
    """,
    "one network": f"""
        made = {BODY}

        def net(): return made
    """,
}


def said_by_training(choice, unsplit, short, output):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Notice)
        manifest = train_bundle(choice, str(unsplit), output, short)
    said = [str(each.message) for each in caught if UNKNOWN in str(each.message)]
    return said, manifest.lineage.steps[-1].options[HELD_OUT]


@pytest.mark.parametrize("way", FRESH)
def test_fresh_weights_have_learned_nothing(user_module, way, unsplit, short, tmp_path):
    user_module(FRESH[way])
    said, held_out = said_by_training(
        Choice("users_own:net", input_shape=(1, 12, 12)), unsplit, short, tmp_path / "net"
    )
    assert said == []
    assert held_out is not None


@pytest.mark.parametrize("way", ["a file", *GIVEN, "a graph"])
def test_weights_that_are_given_may_know_all_images(user_module, trained, way, unsplit, short, choice, tmp_path):
    if way == "a graph":
        exported = shutil.copytree(trained, tmp_path / "exported.falcon")
        export_bundle(exported, ("onnx",))
        given = Choice(str(exported / "exports" / "model.fp32.onnx"))
    elif way == "a file":
        given = replace(choice, weights=trained / "weights.safetensors")
    else:
        user_module(GIVEN[way])
        given = Choice("users_own:net", input_shape=(1, 12, 12))
    said, held_out = said_by_training(given, unsplit, short, tmp_path / "net")
    assert len(said) == 1
    assert held_out is None


def test_validation_images_of_the_data_are_nobodys_training(choice, stripes, short):
    network, dataset = open_with_data(choice, str(stripes))
    made, said = compressed(network, dataset, short)
    assert said == []
    assert made.step.options[HELD_OUT] is not None


def choices(path, data):
    """What images int8's choices say that they go by, and how many."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Notice)
        int8 = Int8(data, samples=16, keep_accuracy=100.0, max_drop=100.0)
        manifest = export_bundle(path, ("onnx",), ("int8",), int8=int8)
    said = [word for each in caught for word in ("test images", "training images") if f"goes by {word}" in str(each)]
    return said, manifest.advice[0].quality.samples


def test_int8_is_chosen_by_what_training_held_out(trained, unsplit, tmp_path):
    shutil.copytree(trained, tmp_path / "trained.falcon")
    dataset = open_dataset(unsplit)
    assert choices(tmp_path / "trained.falcon", str(unsplit)) == ([], int(dataset.held_out().sum()))
    assert int(dataset.held_out().sum()) != len(dataset.test)


def test_int8_is_chosen_by_test_images_where_all_others_may_be_known(choice, unsplit, tmp_path):
    pack_bundle(choice, tmp_path / "made.falcon", data=str(unsplit))
    assert choices(tmp_path / "made.falcon", str(unsplit)) == (["test images"], len(open_dataset(unsplit).test))


def test_int8_of_data_that_are_too_few_to_hold_some_out(trained, unsplit, tmp_path):
    shutil.copytree(trained, tmp_path / "trained.falcon")
    dataset = open_dataset(unsplit)
    few = replace(dataset, train=dataset.train.subset(np.arange(5)), test=None)
    assert choices(tmp_path / "trained.falcon", few) == (["training images"], 5)
