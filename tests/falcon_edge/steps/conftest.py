"""Bundles that many tests look at; those that change one copy it. A network of our own at an eighth of its width."""

import importlib
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice, open_with_data
from falcon_edge.steps.planning.planner import planner_for
from falcon_edge.steps.train import train_bundle
from falcon_edge.training.recipe import Recipe

CHOICE = Choice("vgg8", width=0.125)
RECIPE = Recipe(epochs=4, learning_rate=0.1, batch_size=32, flip=False)


@pytest.fixture(scope="session")
def choice():
    return CHOICE


@pytest.fixture(scope="session")
def recipe():
    return RECIPE


@pytest.fixture(scope="session")
def standard(tmp_path_factory, stripes):
    """Trained on the stripes."""
    path = tmp_path_factory.mktemp("standard") / "standard.falcon"
    train_bundle(CHOICE, str(stripes), path, RECIPE)
    return path


@pytest.fixture(scope="session")
def compressed(tmp_path_factory, standard, stripes):
    """At rank 2, its BN statistics re-estimated on the stripes."""
    path = tmp_path_factory.mktemp("compressed") / "compressed.falcon"
    compress_bundle(Choice(str(standard)), path, data=str(stripes), rank=2)
    return path


@pytest.fixture(scope="session")
def exported(tmp_path_factory, standard, compressed):
    """(standard, compressed) with both files each."""
    folder = tmp_path_factory.mktemp("exported")
    paths = tuple(Path(shutil.copytree(source, folder / source.name)) for source in (standard, compressed))
    for path in paths:
        export_bundle(path, ("onnx", "tflite"))
    return paths


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """Write users_own.py into the current folder, as a user does; it is forgotten afterwards."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])

    def write(source):
        (folder / "users_own.py").write_text("import torch\nfrom torch import nn\n" + textwrap.dedent(source))
        importlib.invalidate_caches()
        sys.modules.pop("users_own", None)

    yield write
    sys.modules.pop("users_own", None)


@pytest.fixture(scope="session")
def opened(standard, stripes):
    """The standard network, and its data."""
    return open_with_data(Choice(str(standard)), str(stripes))


@pytest.fixture(scope="session")
def by_macs(opened):
    """Its planner by MACs."""
    return planner_for(*opened, "macs")
