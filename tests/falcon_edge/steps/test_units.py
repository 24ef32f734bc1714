"""Networks of units: trained, written, opened again, exported, compressed; and taught by a standard one."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from falcon_edge.bundle import edit_bundle, open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.falcon.units import UNITS, unit_named
from falcon_edge.manifest import Architecture, PlacedUnit
from falcon_edge.notices import Notice
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.train import train_bundle
from falcon_edge.training.recipe import Recipe

SHORT = Recipe(epochs=1, learning_rate=0.05, batch_size=32, flip=False)
LONGER = replace(SHORT, epochs=8)  # until the statistics of batch normalisation have come after
LAYERS = tuple(f"features.{place}" for place in (4, 7, 11, 14, 17))  # of VGG8, whose grey stem FALCON keeps, too


def of(unit, **options):
    """Wide enough for every unit."""
    return Choice("vgg8", width=0.5, unit=unit_named(unit, options))


def contents(bundle):
    return {file.name: file.read_bytes() for file in bundle.rglob("*") if file.is_file()}


def answers(network, count=3):
    torch.manual_seed(1)
    with torch.no_grad():
        return network.module(torch.randn(count, *network.input.shape))


@pytest.mark.parametrize("unit", UNITS)
def test_a_bundle_of_it_opens_again(tmp_path, stripes, unit):
    manifest = train_bundle(of(unit), str(stripes), tmp_path / "net", SHORT)
    assert manifest.architecture == Architecture(
        source="vgg8",
        num_classes=3,
        in_channels=1,
        width=0.5,
        unit=PlacedUnit(name=unit, options=unit_named(unit).options, layers=LAYERS),
    )
    assert manifest.lineage.role == "standard"
    network = open_network(Choice(str(tmp_path / "net.falcon")))
    assert manifest.parameters == sum(parameter.numel() for parameter in network.module.parameters())
    fresh = open_network(of(unit)).module.state_dict()
    found = network.module.state_dict()
    assert {name: tensor.shape for name, tensor in fresh.items() if "classifier" not in name} == {
        name: tensor.shape for name, tensor in found.items() if "classifier" not in name
    }
    again = train_bundle(Choice(str(tmp_path / "net.falcon")), str(stripes), tmp_path / "more", SHORT)
    assert again.architecture == manifest.architecture
    assert [step.verb for step in again.lineage.steps] == ["train", "train"]


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_its_exported_files_answer_alike(tmp_path, stripes, unit):
    """Parity is what `export` proves; int8 is held against what float32 decides."""
    manifest = train_bundle(of(unit), str(stripes), tmp_path / "net", LONGER)
    assert manifest.quality[0].value > 0.8
    made = export_bundle(tmp_path / "net.falcon", ("onnx", "tflite"), ("fp32", "int8"), int8=Int8(str(stripes), 64))
    assert len(made.exports) == 4
    assert all(each.macs == made.macs for each in made.exports if each.precision == "fp32")
    assert all(each.loss[0].snr_db > 25 for each in made.exports if each.precision == "int8")


class Stopped(Exception):
    pass


def stop_in_epoch_5(done, total, text):
    if text.startswith("epoch 5/"):
        raise Stopped


def test_the_same_words_give_the_same_bytes_also_of_a_run_that_was_stopped(tmp_path, stripes, standard_of_halves):
    teacher = standard_of_halves
    made = train_bundle(of("shufflev2"), str(stripes), tmp_path / "one", LONGER, teacher=teacher)
    assert made.lineage.steps[0].options["best_epoch"] > 0
    (tmp_path / "elsewhere").mkdir()
    again = tmp_path / "elsewhere" / "one"
    with pytest.raises(Stopped):
        train_bundle(of("shufflev2"), str(stripes), again, LONGER, teacher=teacher, progress=stop_in_epoch_5)
    train_bundle(of("shufflev2"), str(stripes), again, LONGER, teacher=teacher)
    assert contents(again.with_suffix(".falcon")) == contents(tmp_path / "one.falcon")
    assert os.listdir(again.parent) == ["one.falcon"]


@pytest.fixture(scope="module")
def standard_of_halves(tmp_path_factory, stripes):
    """A trained standard network, as wide as those of units here."""
    path = tmp_path_factory.mktemp("teacher") / "standard.falcon"
    train_bundle(Choice("vgg8", width=0.5), str(stripes), path, LONGER)
    return path


def test_the_teacher_is_learned_from_and_named(tmp_path, stripes, standard_of_halves):
    found = {}
    for name, teacher in (("alone", None), ("taught", standard_of_halves)):
        manifest = train_bundle(of("mobilev2"), str(stripes), tmp_path / name, LONGER, teacher=teacher)
        found[name] = manifest.lineage
    assert "teacher" not in found["alone"].steps[0].options
    assert found["taught"].steps[0].options["teacher"] == {
        "name": "standard",
        "identity": open_bundle(standard_of_halves).manifest.lineage.identity,
    }
    assert found["taught"].identity != found["alone"].identity


def test_a_teacher_of_another_question_is_refused(tmp_path, stripes, standard_of_halves):
    arrays = dict(np.load(stripes))
    np.savez(tmp_path / "others.npz", **arrays | {"labels": np.array(["a", "b", "c"])})
    cases = (
        (of("dsconv"), tmp_path / "others.npz", "the teacher's classes are not those of vgg8"),
        (
            replace(of("dsconv"), mean=(0.1,), std=(0.3,)),
            stripes,
            "the teacher's input is not that of vgg8; look at `input_shape`",
        ),
    )
    for choice, data, said in cases:
        with pytest.raises(BadInput, match=said):
            train_bundle(choice, str(data), tmp_path / "net", SHORT, teacher=standard_of_halves)


@pytest.fixture(scope="module")
def stconv(tmp_path_factory, stripes):
    """A trained network of StConv-branch."""
    path = tmp_path_factory.mktemp("stconv") / "stconv.falcon"
    train_bundle(of("stconv_branch"), str(stripes), path, LONGER)
    return path


def test_falcon_branch_begins_with_a_trained_stconv_branch(tmp_path, stripes, stconv):
    compressed = compress_bundle(Choice(str(stconv)), tmp_path / "small", data=str(stripes), rank=1)
    expected = train_bundle(of("falcon_branch"), str(stripes), tmp_path / "fresh", SHORT)
    assert (compressed.parameters, compressed.macs) == (expected.parameters, expected.macs)
    assert compressed.lineage.role == "compressed"
    made, fresh = (open_network(Choice(str(tmp_path / f"{name}.falcon"))).module for name in ("small", "fresh"))
    assert list(made.state_dict()) == list(fresh.state_dict())


def test_at_the_lossless_rank_it_answers_as_that_did(tmp_path, stconv):
    compress_bundle(Choice(str(stconv)), tmp_path / "same", rank=9)
    expected, found = (answers(open_network(Choice(str(path)))) for path in (stconv, tmp_path / "same.falcon"))
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_what_stays_standard_is_said():
    choice = Choice("vgg19", width=0.25, input_shape=(3, 32, 32), num_classes=4, unit=unit_named("shuffle"))
    said = "vgg19: features.0 stays a standard convolution: its 3 input channels do not divide into 2 groups"
    with pytest.warns(Notice, match=said):
        network = open_network(choice)
    assert type(network.module.features[0]) is torch.nn.Conv2d
    assert "features.0" not in network.architecture.unit.layers


def test_a_network_of_the_users_own(tmp_path, user_module, stripes):
    user_module("""
        def net():
            convs = nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()
            return nn.Sequential(*convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
    """)
    choice = Choice("users_own:net", unit=unit_named("mobilev2", {"expansion": 3}))
    manifest = pack_bundle(choice, tmp_path / "net", data=str(stripes))
    assert manifest.architecture.unit == PlacedUnit(name="mobilev2", options={"expansion": 3}, layers=("2",))
    assert open_network(Choice(str(tmp_path / "net.falcon"))).module[2].expand[0].out_channels == 48


def test_what_has_its_layers_gets_no_units(tmp_path, standard, stripes):
    for path in (standard, tmp_path / "net.onnx"):
        with pytest.raises(BadInput, match=rf"{path.name}: has its layers; a `unit` is put into a network"):
            train_bundle(Choice(str(path), unit=unit_named("dsconv")), str(stripes), tmp_path / "net", SHORT)
    with pytest.raises(BadInput, match="mobilev2: has normalisation and activations inside, which no closed form"):
        compress_bundle(Choice(str(standard)), tmp_path / "net", rank=1, form="mobilev2")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "vit"}, "vit: no unit of this name"),
        ({"options": {"rank": 1}}, "`rank` is not for mobilev2"),
        ({"options": {"expansion": 10**9}}, r"`expansion` 1000000000: lies in 1\.\.16"),
        ({"layers": ["features.1"]}, "features.1: the network has no convolution of this name"),
        ({"layers": ["features.0"]}, "MobileConvV2 cannot stand in the place of features.0"),
        ({"layers": ["features.4"]}, "its weights do not fit"),
    ],
)
def test_a_manifest_that_was_tampered_with_is_one_line(tmp_path, changes, said):
    pack_bundle(of("mobilev2"), tmp_path / "net")
    path = tmp_path / "net.falcon"
    with edit_bundle(path) as draft:
        document = draft.manifest.model_dump(mode="json")
        document["architecture"]["unit"] |= changes
        draft.manifest = type(draft.manifest).model_validate_json(json.dumps(document))
    with pytest.raises(BadInput, match=said):
        open_network(Choice(str(path)))


def test_manifests_without_units_are_as_they_were(standard):
    assert open_bundle(standard).manifest.architecture.unit is None
