"""What all tests share: settings of hypothesis and torch, and data small enough for a second."""

import os
import shutil
import tempfile

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="state-of-tests-")  # not the one of who runs the tests
os.environ["FALCON_EDGE_TRUST_CODE"] = ""

import hypothesis
import numpy as np
import pytest
import torch

hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("tests")
torch.set_num_threads(1)


# What many files share and takes long to make, and the group of the tests that use it.
TOGETHER = {"flow": "flow", "again": "flow", "exported": "exported"}


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items):
    """Tests that share what is made once run in one process of xdist, which otherwise makes it in each."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            shared = [each[-1].scope for each in item._fixtureinfo.name2fixturedefs.values()]
            own = [item.location[0]] if "module" in shared else []
            for group in [*(TOGETHER[name] for name in item.fixturenames if name in TOGETHER), *own][:1]:
                item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session", autouse=True)
def _state():
    yield
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _seeded():
    seed()


def seed():
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
    """What tests share is the same whichever of them asks for it first."""
    if fixturedef.scope != "function":
        seed()


@pytest.fixture(scope="session")
def stripes(tmp_path_factory):
    """An .npz of 12x12 grey images in three classes that a small network learns: horizontal, vertical, none."""
    random = np.random.default_rng(0)

    def make(count):
        labels = np.arange(count) % 3
        images = random.integers(0, 60, (count, 12, 12)).astype(np.uint8)
        images[labels == 0, ::3, :] += 150
        images[labels == 1, :, ::3] += 150
        return images, labels

    path = tmp_path_factory.mktemp("stripes") / "stripes.npz"
    splits = {name: make(count) for name, count in (("train", 240), ("val", 60), ("test", 90))}
    arrays = {f"{axis}_{name}": split[place] for name, split in splits.items() for place, axis in enumerate("xy")}
    np.savez(path, labels=np.array(["rows", "columns", "noise"]), **arrays)
    return path
