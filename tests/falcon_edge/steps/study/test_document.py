"""The file of a study: what it says, and one line for what it cannot."""

from pathlib import Path

import pytest

from falcon_edge.errors import BadInput
from falcon_edge.steps.study.cells import cells_of
from falcon_edge.steps.study.document import read_study
from falcon_edge.training.recipe import PRESETS

PAPER = Path(__file__).parents[4] / "examples/study.toml"


def read(tmp_path, text, **options):
    (tmp_path / "study.toml").write_text(text)
    return read_study(tmp_path / "study.toml", **options)


BASE = 'models = ["vgg8"]\ndata = "digits"\n[train]\nepochs = 2\n[tune]\nepochs = [1, 5]\n'


def test_what_it_names_lies_in_its_folder(tmp_path):
    (tmp_path / "mine.toml").write_text("mixup = 0.2\n")
    study = read(tmp_path, BASE.replace("[tune]", 'recipe = ["short", "mine.toml"]\n[tune]'))
    assert study.data == str(tmp_path / "digits")
    recipe = study.training(3)
    assert (recipe.epochs, recipe.mixup, recipe.seed, recipe.find_rate) == (2, 0.2, 3, False)
    assert recipe.schedule == PRESETS["short"]["schedule"]
    assert study.tuning(0, 5).find_rate  # no rate is said
    assert read(tmp_path, BASE, data="elsewhere").data == "elsewhere"
    assert read(tmp_path, BASE.replace("digits", "sample")).data == "sample"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[train]", "colour = 1\n[train]", "study.toml: colour: a study has no such thing"),
        ("epochs = 2", "epoch = 2", "study.toml: train: epoch: a recipe has no such thing"),
        ("epochs = 2", "momentum = 0.9", "study.toml: train.epochs: is missing"),
        ("[train]", 'input = "28x28"\n[train]', "study.toml: input: write channels x height x width"),
        ("epochs = 2", "epochs = 2\nrates = 1", "study.toml: train: rates: a recipe has no such thing"),
        ("epochs = 2", 'epochs = 2\nrecipe = "mine"', "study.toml: train.recipe: mine is none of paper"),
        ("epochs = 2", "epochs = 2\nseed = 1", "study.toml: train.seed: seeds are those of the study"),
        ("[train]", "widths = [0]\n[train]", "study.toml: widths lie in 0.01..16"),
        ("[train]", "seeds = [4294967296]\n[train]", "study.toml: seeds.0: Input should be less than 4294967296"),
        ("[train]", 'input = "32x32"\n[train]', "study.toml: input"),
        ('["vgg8"]', "[]", "study.toml: models"),
        ("vgg8", "vgg9", "study.toml: models: vgg9: not a bundle and no known network; use vgg19"),
        ("vgg8", "no_such_file:net", "study.toml: models: no_such_file:net cannot be imported: ModuleNotFoundError"),
        ("vgg8", "torchvision:resnet19", "study.toml: models: torchvision:resnet19: torchvision has no network"),
        ("[1, 5]", '["long"]', "study.toml: tune.epochs.0: "),
        ("[1, 5]", "0", "study.toml: tune.epochs: at least 1"),
        ("[train]", "[train", "study.toml: is no TOML"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(tmp_path, before, after, said):
    with pytest.raises(BadInput) as error:
        read(tmp_path, BASE.replace(before, after, 1))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ('form = ["falcon"]', "cells.0: a form needs either rank or macs_of"),
        ('form = ["falcon"]\nrank = [0]', "cells.0: ranks and epochs are at least 1"),
        ('form = ["falcon"]\nrank = [true]', "cells.0.rank.0: Input should be a valid integer"),
        ('unit = ["dsconv"]\ntaught = "yes"', "cells.0.taught: Input should be a valid boolean"),
        ('form = ["falcons"]\nrank = [1]', "cells.0: falcons is none of falcon, "),
        ('form = ["falcon"]\nunit = ["dsconv"]', "cells.0: give either form or unit"),
        ('form = ["tucker2"]\nmacs_of = "dsconvs-1"', "cells.0: dsconvs-1 is no form with a rank"),
        ('form = ["falcon"]\nrank = [1]\ntaught = true', "cells.0: taught, expansion and groups are of units"),
        ('form = ["falcon"]\nrank = [1]\ninit = ["he"]', "cells.0: init he: is none of svd"),
        ('unit = ["dsconv"]\ninit = ["svd"]', "cells.0: init is of forms"),
        ('unit = ["dsconv"]\nexpansion = 2', "cells.0: expansion: none of dsconv has it"),
        ('unit = ["dsconv", "shuffle"]\nrank = [2]', "cells.0: rank: none of dsconv, shuffle has it"),
        ('unit = ["mobilev2"]\nexpansion = 99', "cells.0: `expansion` 99: lies in 1..16"),
        ('unit = ["dsconv"]\nwidth = 2', "cells.0.width: a study has no such thing"),
        ('unit = ["dsconv"]\nseeds = [-1]', "cells.0.seeds.0: Input should be greater than or equal to 0"),
    ],
)
def test_what_is_wrong_in_cells_is_one_line_with_its_number(tmp_path, sweep, said):
    with pytest.raises(BadInput) as error:
        read(tmp_path, f"{BASE}\n[[cells]]\n{sweep}\n")
    assert f"study.toml: {said}" in str(error.value)


def test_the_study_of_the_paper_is_read():
    cells = cells_of(read_study(PAPER))
    of_vgg = [cell.name for cell in cells if cell.model == "vgg19"]
    assert len(cells) == 2 * len(of_vgg)
    assert {"vgg19-0.25-standard-20-s2", "vgg19-0.25-falcon-1-random-1-s2", "vgg19-0.25-falcon-4-svd-10-s0"} <= set(
        of_vgg
    )
    assert "vgg19-0.25-mobilev2-expansion2-as-falcon-1-taught-20-s0" in of_vgg
