"""The TFLite metadata tools read what export writes: name, normalisation, tensors, labels."""

import json
import shutil
from pathlib import Path

import pytest
from environments import environment

from falcon_edge.bundle import open_bundle
from falcon_edge.data.formats import SAMPLE
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.shipped import copy_sample_network

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("metadata tools")]

SCRIPT = Path(__file__).parents[1] / "support/show_metadata.py"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = copy_sample_network(tmp_path_factory.mktemp("bundle") / "standard")
    export_bundle(path, ("tflite",), ("fp32", "fp16", "int8"), int8=Int8(SAMPLE, samples=16, integer_io=True))
    return open_bundle(path)


@pytest.fixture(scope="module")
def shown(bundle, tmp_path_factory, request):
    """What the tools show of every .tflite of the bundle, by its name. Their wheel links against libusb."""
    tools = environment("tflite-support", request.config.cache)
    libraries = tmp_path_factory.mktemp("libraries")
    shutil.copy(tools.packages / "libusb_package/libusb-1.0.so", libraries / "libusb-1.0.so.0")
    files = sorted(export.file for export in bundle.manifest.exports)
    copies = [shutil.copy(bundle.file(file), libraries) for file in files]
    lines = tools.run(SCRIPT, *copies, library_path=libraries).splitlines()
    return dict(zip(files, map(json.loads, lines), strict=True))


def test_every_file_was_read(shown):
    assert len(shown) == 3


def test_name_tensors_and_normalisation(shown, bundle):
    manifest = bundle.manifest
    for file, found in shown.items():
        metadata = found["metadata"]
        assert metadata["name"] == manifest.name
        (graph,) = metadata["subgraph_metadata"]
        (image,), (classes,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
        assert (image["name"], classes["name"]) == (manifest.input.name, manifest.outputs[0].name), file
        assert image["content"]["content_properties_type"] == "ImageProperties"
        assert image["content"]["content_properties"]["color_space"] == "GRAYSCALE"
        (unit,) = image["process_units"]
        assert unit["options_type"] == "NormalizationOptions"
        assert unit["options"]["mean"] == pytest.approx([255 * mean for mean in manifest.input.mean])
        assert unit["options"]["std"] == pytest.approx([255 * std for std in manifest.input.std])


def test_labels_are_an_associated_file_of_the_output(shown, bundle):
    for found in shown.values():
        (classes,) = found["metadata"]["subgraph_metadata"][0]["output_tensor_metadata"]
        (labels,) = classes["associated_files"]
        assert labels["type"] == "TENSOR_AXIS_LABELS"
        assert found["files"].keys() == {labels["name"]}
        assert found["files"][labels["name"]].splitlines() == list(bundle.manifest.labels)


def test_the_parser_version_is_the_one_that_the_tools_would_write(shown):
    for found in shown.values():
        assert found["metadata"]["min_parser_version"] == found["parser"]
