"""Recipes by name, by file, or by what is said of them."""

import pytest

from falcon_edge.cli import options
from falcon_edge.errors import BadInput
from falcon_edge.training.recipe import PRESETS, Recipe, recipe_of

OWN = {"epochs": 30, "learning_rate": 0.1, "weight_decay": 5e-4}


def said(*words, **given):
    return options.recipe(words, OWN, **given)


def test_the_papers_rate_is_divided_at_epochs_150_and_250():
    recipe, steps = recipe_of(PRESETS["paper"]), 350 * 390
    rates = [recipe.pace(epoch * 390, steps).rate for epoch in (0, 149, 150, 249, 250, 349)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert (recipe.batch_size, recipe.weight_decay, recipe.crop_padding) == (128, 1e-4, 4)


def test_imagenets_rate_is_divided_at_epochs_30_and_60():
    recipe, steps = recipe_of(PRESETS["imagenet"]), 90 * 5004
    rates = [recipe.pace(epoch * 5004, steps).rate for epoch in (0, 29, 30, 59, 60, 89)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_the_last_word_counts_and_options_of_their_own_most(tmp_path):
    (tmp_path / "mine.toml").write_text("mixup = 0.2\nepochs = 7\n")
    recipe = said("short", str(tmp_path / "mine.toml"), "ema=0.99", 'schedule="cosine"', epochs=3, batch_size=None)
    assert (recipe.mixup, recipe.ema, recipe.schedule, recipe.epochs) == (0.2, 0.99, "cosine", 3)
    assert said("seed=5").seed == 5
    assert said("seed=5", seed=None).seed == 5
    assert said("seed=5", seed=0).seed == 0
    assert recipe.batch_size == PRESETS["short"]["batch_size"]


def test_a_rate_is_found_unless_one_is_said():
    assert said().find_rate
    assert said("mixup=0.1").find_rate
    assert not said("short").find_rate
    assert not said("learning_rate=0.2").find_rate
    assert not said(learning_rate=0.2).find_rate
    assert said("short", "find_rate=true").find_rate


def test_what_is_said_of_a_recipe_makes_it_again():
    recipe = recipe_of(PRESETS["paper"])
    assert recipe_of(recipe.said) == recipe
    assert isinstance(recipe, Recipe)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["long"], r"--recipe long: write paper, imagenet, short, a \.toml, or FIELD=VALUE"),
        (["mixups=1"], "mixups: a recipe has no such thing; it has epochs, learning_rate"),
        (["mixup=much"], "mixup: input should be a valid number"),
        (["schedule=linear"], "schedule: input should be 'cosine', 'steps' or 'one-cycle'"),
        (["milestones=[1.5]"], "milestones are shares"),
        (["milestones=[0.5]"], "milestones are for the schedule steps, which needs some"),
        (["schedule=steps"], "milestones are for the schedule steps, which needs some"),
        (["short", "momentum=0.5"], "one-cycle has a warm-up and a momentum of its own"),
        (["short", "warm_up=0.2"], "one-cycle has a warm-up and a momentum of its own"),
        (["mixup=true"], "mixup: input should be a valid number"),
        (["flip='no'"], "flip: input should be a valid boolean"),
        (["epochs=true"], "epochs: input should be a valid integer"),
        (["epochs=0.5"], "epochs: input should be a valid integer"),
        (["nowhere.toml"], r"nowhere\.toml: cannot be read"),
    ],
)
def test_what_is_no_recipe_is_one_line(words, error):
    with pytest.raises(BadInput, match=error) as caught:
        said(*words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["mixups = 1", "mixup = true"])
def test_what_is_wrong_in_a_file_is_said_with_its_name(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(BadInput, match=r"mine\.toml: mixup"):
        said("short", str(tmp_path / "mine.toml"))


def test_a_file_that_is_no_toml_is_one_line(tmp_path):
    (tmp_path / "bad.toml").write_text("mixup")
    with pytest.raises(BadInput, match=r"bad\.toml: is no TOML"):
        said(str(tmp_path / "bad.toml"))
