"""The page in a real browser, with bundles of every kind: classes, maps and numbers, float and integers."""

import importlib
import os
import sys

import numpy as np
import pytest
from browser import PROGRAM, Browser
from page import WEB, served

from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.serve import LIBRARY, page_files
from falcon_edge.steps.shipped import copy_sample_network

NETS = """
import torch
from torch import nn
from torch.nn import functional


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.mask, self.box = nn.Conv2d(16, 4, 3, padding=1), nn.Conv2d(16, 5, 1)

    def forward(self, x):
        x = self.body(x)
        return {"mask": functional.interpolate(self.mask(x), scale_factor=2.0), "boxes": self.box(x).flatten(2)}


def two():
    torch.manual_seed(0)
    return Two()
"""


@pytest.fixture(scope="session")
def libraries():
    """Skips without the page's libraries or Chromium, except in CI: there they must be (make browser)."""
    for there, lacking in ((PROGRAM is not None, "Chromium"), ((WEB / LIBRARY).is_file(), "android_demo/web/vendor")):
        if not there:
            assert os.environ.get("CI") != "true", f"there is no {lacking}: make browser"
            pytest.skip(f"there is no {lacking}: make browser")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory, libraries):
    """standard and falcon (a classifier and what was made of it), integers (its twin), pixels (a map and numbers)."""
    folder = tmp_path_factory.mktemp("bundles")
    standard = copy_sample_network(folder / "standard")
    falcon, integers, pixels = (folder / f"{name}.falcon" for name in ("falcon", "integers", "pixels"))
    compress_bundle(Choice(str(standard)), falcon, data="sample", rank=1)
    copy_sample_network(integers)
    int8 = Int8("sample", samples=64, accept_loss=True)
    export_bundle(standard, ("onnx", "ort", "tflite"), ("fp32", "fp16", "int8"), int8=int8)
    export_bundle(falcon, ("onnx", "tflite"), ("fp32", "int8"), int8=int8)
    export_bundle(
        integers, ("onnx", "tflite"), ("int8",), int8=Int8("sample", samples=64, integer_io=True, accept_loss=True)
    )
    _pack_pixels(folder, pixels)
    return {path.stem: path for path in (standard, falcon, integers, pixels)}


def _pack_pixels(folder, path):
    data = str(folder / "images.npz")
    np.savez(data, x=np.random.default_rng(0).integers(0, 256, (12, 20, 24, 3), np.uint8))
    (folder / "page_nets.py").write_text(NETS)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        choice = Choice("page_nets:two", None, (3, 20, 24), None, 1.0, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
        pack_bundle(choice, path, data=data)
        export_bundle(
            path, ("onnx", "tflite"), ("fp32", "int8"), int8=Int8(str(folder / "images.npz"), accept_loss=True)
        )
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("page_nets", None)


@pytest.fixture(scope="session")
def files(bundles, tmp_path_factory):
    """Every file of the page with all bundles, by its path in it."""
    return page_files(WEB, [*bundles.values()], tmp_path_factory.mktemp("page"))[0]


@pytest.fixture(scope="session")
def site(files):
    """The page with all bundles on loopback, isolated."""
    with served(files) as site:
        yield site


@pytest.fixture(scope="session")
def browser(libraries):
    """With a camera that shows a moving pattern, and a name of this machine that is not that of its loopback."""
    camera = "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"
    other = "--host-resolver-rules=MAP elsewhere.test 127.0.0.1", "--ignore-certificate-errors"
    with Browser(*camera, *other) as browser:
        yield browser
