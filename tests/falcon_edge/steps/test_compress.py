"""compress: the plan applied, BN statistics renewed, fine-tuned with the original as the teacher."""

import hashlib
import json
import os
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from falcon_edge.bundle import open_bundle
from falcon_edge.data import open_dataset
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput
from falcon_edge.falcon.forms.falcon import FalconConv2d
from falcon_edge.falcon.plan import Plan
from falcon_edge.falcon.statistics import has_batchnorm
from falcon_edge.notices import Notice
from falcon_edge.place import locked
from falcon_edge.steps.compress import compress, compress_bundle, plan_compression, plan_of
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.goals import Goal
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.training.aims import accuracy
from falcon_edge.training.history import Line
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe

RECIPE = Recipe(epochs=2, learning_rate=0.05, batch_size=32, flip=False, temperature=3.0, distillation=0.7)


def contents(bundle):
    return {file.name: file.read_bytes() for file in bundle.rglob("*") if file.is_file()}


def network(bundle):
    return open_network(Choice(str(bundle))).module


def layers(bundle):
    return {name: module for name, module in network(bundle).named_modules() if isinstance(module, FalconConv2d)}


def kernel(layer):
    """What the branches amount to: the sum of their products, (N, M, kh, kw)."""
    return sum(
        pointwise.weight * depthwise.weight
        for pointwise, depthwise in zip(layer.pointwise, layer.depthwise, strict=True)
    ).detach()


def best_error(conv, rank):
    """Relative squared error of the truncated SVD of every output channel's kernel."""
    values = torch.linalg.svdvals(conv.weight.detach().double().flatten(2))
    return float((values[:, rank:] ** 2).sum() / (values**2).sum())


@pytest.mark.parametrize("rank", [1, 3])
def test_every_layer_is_the_best_of_its_rank(standard, tmp_path, rank):
    manifest = compress_bundle(Choice(str(standard)), tmp_path / "net", rank=rank)
    original = dict(network(standard).named_modules())
    found = layers(tmp_path / "net.falcon")
    assert sorted(found) == sorted(
        name for name, module in original.items() if isinstance(module, nn.Conv2d) and name != "features.0"
    )
    plan = Plan.model_validate_json((tmp_path / "net.falcon" / "plan.json").read_bytes())
    errors = {layer.name: layer.error for layer in plan.layers}
    for name, layer in found.items():
        weight = original[name].weight.detach()
        error = float((kernel(layer) - weight).double().square().sum() / weight.double().square().sum())
        assert error == pytest.approx(best_error(original[name], rank), abs=1e-6)
        assert errors[name] == pytest.approx(error, abs=1e-6)
    assert (manifest.parameters, manifest.macs) == (plan.planned_parameters, plan.planned_macs)
    assert manifest.quality == ()


def test_the_lineage_leads_back_to_the_standard_network(standard, compressed):
    before, after = open_bundle(standard).manifest.lineage, open_bundle(compressed).manifest.lineage
    assert after.role == "compressed"
    assert (after.parent.name, after.parent.identity) == ("standard", before.identity)
    assert after.steps[:-1] == before.steps
    step = after.steps[-1]
    assert (step.verb, step.data) == ("compress", "stripes.npz")
    assert step.options == {"rank": 2, "plan": None, "init": "svd"}


def test_a_network_by_name_has_a_parent_too(tmp_path, choice):
    """The same as if it had been packed first."""
    packed = pack_bundle(choice, tmp_path / "packed")
    direct = compress_bundle(choice, tmp_path / "direct", rank=1)
    compress_bundle(Choice(str(tmp_path / "packed.falcon")), tmp_path / "by bundle", rank=1)
    assert direct.lineage.parent.identity == packed.lineage.identity
    files = [contents(tmp_path / f"{name}.falcon") for name in ("direct", "by bundle")]
    assert files[0]["weights.safetensors"] == files[1]["weights.safetensors"]
    assert files[0]["plan.json"] == files[1]["plan.json"]


def test_same_words_same_bytes(compressed, standard, tmp_path, stripes):
    compress_bundle(Choice(str(standard)), tmp_path / "compressed", data=str(stripes), rank=2)
    assert contents(tmp_path / "compressed.falcon") == contents(compressed)
    assert os.listdir(tmp_path) == ["compressed.falcon"]


def test_the_original_is_left_as_it_was(standard, tmp_path, stripes):
    before = contents(standard)
    compress_bundle(Choice(str(standard)), tmp_path / "net", data=str(stripes), rank=1, recipe=RECIPE)
    assert contents(standard) == before


def test_batchnorm_statistics_are_those_of_the_data(standard, compressed, tmp_path, stripes):
    """All 240 training images fit in one batch, so that the statistics can be taken from one pass."""
    compress_bundle(Choice(str(standard)), tmp_path / "bare", rank=2)
    bare, renewed = network(tmp_path / "bare.falcon"), network(compressed)
    opened = open_network(Choice(str(compressed)))
    inputs, _ = next(Images(open_dataset(stripes).train, opened.input).batches(240))
    seen = {}
    for name, module in bare.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, args, name=name: seen.__setitem__(name, args[0]))
            module.train()
    with torch.no_grad():
        bare(inputs)
    old, new = network(standard).state_dict(), renewed.state_dict()
    assert len(seen) == 6
    for name, values in seen.items():
        mean, variance = values.mean((0, 2, 3)), values.var((0, 2, 3))
        assert torch.allclose(new[f"{name}.running_mean"], mean, atol=1e-4)
        assert torch.allclose(new[f"{name}.running_var"], variance, rtol=1e-3)
        assert torch.equal(new[f"{name}.weight"], old[f"{name}.weight"])
    assert not torch.allclose(old["features.5.running_var"], new["features.5.running_var"], rtol=1e-2)


def test_accuracy_is_measured_on_the_test_images(compressed, stripes):
    opened = open_network(Choice(str(compressed)))
    (measured,) = open_bundle(compressed).manifest.quality
    assert measured.samples == 90
    assert measured.value == accuracy(opened.module, Images(open_dataset(stripes).test, opened.input))


def test_whitened_fits_the_outputs_on_the_data(standard, tmp_path, stripes):
    """Against the plain fit, on the first layer that both replace: its inputs are the original's."""
    for init in ("svd", "whitened"):
        compress_bundle(Choice(str(standard)), tmp_path / init, data=str(stripes), rank=1, init=init)
    opened = open_network(Choice(str(standard)))
    inputs, _ = next(Images(open_dataset(stripes).train, opened.input).batches(240))
    modules = dict(opened.module.named_modules())
    seen = []
    modules["features.4"].register_forward_hook(lambda module, args, output: seen.append((args[0], output)))
    with torch.no_grad():
        opened.module(inputs)
        ((x, y),) = seen
        errors = {
            init: float((layers(tmp_path / f"{init}.falcon")["features.4"](x) - y).square().mean())
            for init in ("svd", "whitened")
        }
    assert errors["whitened"] < 0.9 * errors["svd"]
    biases = {init: layers(tmp_path / f"{init}.falcon")["features.4"].depthwise[0].bias for init in errors}
    assert biases["svd"] is None
    assert biases["whitened"].abs().max() > 0
    manifest = open_bundle(tmp_path / "whitened.falcon").manifest
    assert manifest.lineage.steps[-1].options["init"] == "whitened"
    assert manifest.parameters == sum(p.numel() for p in network(tmp_path / "whitened.falcon").parameters())


def test_fresh_weights_are_those_of_a_seed_in_what_is_replaced_alone(standard):
    given, made = open_network(Choice(str(standard))), {}
    for seed in (0, 0, 1):
        compressed = compress(given, rank=2, init="random", recipe=replace(RECIPE, epochs=0, seed=seed))
        made.setdefault(seed, []).append(compressed.module.state_dict())
    assert compressed.step.options | {"seed": 1} == compressed.step.options | {"init": "random"}
    assert compress(given, rank=2, init="random").step.options["seed"] == 0
    plan, fitted = compressed.plan, compress(given, rank=2).module.state_dict()
    for name, values in made[0][0].items():
        inside = any(name.startswith(f"{layer}.") for layer in plan.replaced)
        assert torch.equal(values, made[0][1][name])
        assert torch.equal(values, fitted[name]) == (not inside or name.endswith(".bias")), name
        assert torch.equal(values, made[1][0][name]) == (not inside or name.endswith(".bias")), name


def test_fine_tuning_helps_and_is_recorded(standard, tmp_path, stripes):
    bare = compress_bundle(Choice(str(standard)), tmp_path / "bare", data=str(stripes), rank=1)
    tuned = compress_bundle(Choice(str(standard)), tmp_path / "tuned", data=str(stripes), rank=1, recipe=RECIPE)
    assert tuned.quality[0].value > bare.quality[0].value
    assert (tuned.parameters, tuned.macs) == (bare.parameters, bare.macs)
    options = tuned.lineage.steps[-1].options
    best = options.pop("best_epoch")
    assert best in (1, 2)
    assert options.pop("held_out") is not None
    assert options == {"rank": 1, "plan": None, "init": "svd", **RECIPE.said}
    lines = [json.loads(line) for line in (tmp_path / "tuned.falcon" / "training.jsonl").read_text().splitlines()]
    assert [(line["attempt"], line["epoch"]) for line in lines] == [(0, 0), (1, 1), (1, 2)]
    assert [line["learning_rate"] for line in lines] == [None, 0.05, 0.05]
    assert all(line.keys() == Line.model_fields.keys() for line in lines)
    (kept,) = [line for line in lines if line["kept"]]
    assert kept["epoch"] == best
    images = validation(tmp_path, stripes)
    assert kept["quality"]["value"] == accuracy(network(tmp_path / "tuned.falcon"), images)
    assert kept["quality"]["samples"] == len(images)
    assert not (tmp_path / "bare.falcon" / "training.jsonl").exists()
    assert sorted(os.listdir(tmp_path)) == ["bare.falcon", "tuned.falcon"]


def validation(folder, stripes):
    return Images(open_dataset(stripes).val, open_network(Choice(str(folder / "tuned.falcon"))).input)


def test_a_rate_that_is_found_is_in_the_manifest(standard, tmp_path, stripes):
    """25.6 breaks it, and the very bytes come that the rate which was found gives by itself."""
    recipe = replace(RECIPE, learning_rate=25.6, find_rate=True, epochs=3)
    found = compress_bundle(Choice(str(standard)), tmp_path / "tuned", data=str(stripes), rank=1, recipe=recipe)
    options = found.lineage.steps[-1].options
    assert options["find_rate"] is True
    assert options["best_epoch"] > 0
    assert options["learning_rate"] in [25.6 / 4**place for place in range(1, 5)]
    lines = [json.loads(line) for line in (tmp_path / "tuned.falcon" / "training.jsonl").read_text().splitlines()]
    assert lines[1]["learning_rate"] == 25.6
    given = replace(recipe, learning_rate=options["learning_rate"], find_rate=False)
    compress_bundle(Choice(str(standard)), tmp_path / "given", data=str(stripes), rank=1, recipe=given)
    weights = [(tmp_path / f"{name}.falcon" / "weights.safetensors").read_bytes() for name in ("tuned", "given")]
    assert weights[0] == weights[1]


def test_training_that_could_not_improve_says_so(standard, tmp_path, stripes):
    """At a rate that was given, and which spoils the network without an infinite number."""
    recipe = replace(RECIPE, learning_rate=20.0, distillation=0.0, epochs=1)
    with pytest.warns(Notice, match=r"training could not improve the network, which stays as it was: top-1 \d+\.\d+%"):
        tuned = compress_bundle(Choice(str(standard)), tmp_path / "tuned", data=str(stripes), rank=9, recipe=recipe)
    compress_bundle(Choice(str(standard)), tmp_path / "bare", data=str(stripes), rank=9)
    assert tuned.lineage.steps[-1].options["best_epoch"] == 0
    weights = [(tmp_path / f"{name}.falcon" / "weights.safetensors").read_bytes() for name in ("tuned", "bare")]
    assert weights[0] == weights[1]


def test_without_data_batch_normalisation_is_not_renewed_which_is_said(standard, tmp_path, stripes, user_module):
    with pytest.warns(Notice, match="without data the statistics of batch normalisation stay those of the standard"):
        compress_bundle(Choice(str(standard)), tmp_path / "net", rank=1)
    user_module(
        "def net(): return nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(512, 3))"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        compress_bundle(Choice(str(standard)), tmp_path / "tuned", data=str(stripes), rank=1)
        compress_bundle(Choice("users_own:net", input_shape=(1, 12, 12)), tmp_path / "other", rank=1)


# What costs more than before


def test_the_test_images_decide_nothing(standard, tmp_path, stripes):
    arrays = dict(np.load(stripes))
    arrays["y_test"] = (arrays["y_test"] + 1) % 3
    np.savez(tmp_path / "stripes.npz", **arrays)
    made = [
        compress_bundle(Choice(str(standard)), tmp_path / name, data=str(data), rank=1, recipe=RECIPE)
        for name, data in (("one", stripes), ("other", tmp_path / "stripes.npz"))
    ]
    assert made[0].lineage == made[1].lineage
    assert made[0].quality != made[1].quality


class Stopped(Exception):
    pass


def stop_in_epoch_2(done, total, text):
    if text.startswith("epoch 2/"):
        raise Stopped


def test_a_stopped_run_goes_on_to_the_same_bytes(standard, tmp_path, stripes):
    words = {"data": str(stripes), "rank": 1, "recipe": RECIPE}
    with pytest.raises(Stopped):
        compress_bundle(Choice(str(standard)), tmp_path / "a" / "net", **words, progress=stop_in_epoch_2)
    assert os.listdir(tmp_path / "a") == [".net.checkpoint"]
    for folder in ("a", "b"):
        compress_bundle(Choice(str(standard)), tmp_path / folder / "net", **words)
        assert os.listdir(tmp_path / folder) == ["net.falcon"]
    assert contents(tmp_path / "a" / "net.falcon") == contents(tmp_path / "b" / "net.falcon")


# Plans


def written(path, plan):
    path.write_text(plan.model_dump_json() if isinstance(plan, Plan) else json.dumps(plan))
    return path


def test_a_plan_file_decides_layer_by_layer(standard, tmp_path):
    plan = plan_of(Choice(str(standard)), Goal(3))
    document = plan.model_dump(mode="json")
    for layer, rank in zip(document["layers"][1:], (1, 2, None, 99, 1), strict=True):
        layer["sizes"], layer["form"] = [] if rank is None else [rank], "keep" if rank is None else "falcon"
        layer["reason"] = f"because {rank}"
    path = written(tmp_path / "my plan.json", document)
    manifest = compress_bundle(Choice(str(standard)), tmp_path / "net", plan_file=path)
    assert [layer.rank for layer in layers(tmp_path / "net.falcon").values()] == [1, 2, 9, 1]
    made = Plan.model_validate_json((tmp_path / "net.falcon" / "plan.json").read_bytes())
    reasons = [layer.reason for layer in made.layers]
    assert reasons[1:4] == ["because 1", "because 2", "because None"]
    assert reasons[4] == "clamped from rank 99 to the lossless rank"
    assert manifest.lineage.steps[-1].options == {"rank": None, "plan": "my plan.json", "init": "svd"}


def test_a_plan_alone_changes_nothing(standard, tmp_path):
    before = contents(standard)
    network = open_network(Choice(str(standard)))
    plan, statistics = plan_compression(network, None, Goal(1))
    assert plan.planned_macs < plan.macs
    assert statistics == {}
    assert not any(isinstance(module, FalconConv2d) for module in network.module.modules())
    assert contents(standard) == before


def kept(plan):
    return {**plan, "layers": [{**layer, "form": "keep", "sizes": []} for layer in plan["layers"]]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan: kept(plan), "changes no layer; nothing to compress"),
        (lambda plan: {**plan, "layers": [{**plan["layers"][1], "name": "features.99"}]}, "names features.99"),
        (lambda plan: {**plan, "layers": [{**plan["layers"][1], "name": "classifier.0"}]}, "names classifier.0"),
        (lambda plan: {**plan, "layers": [{**plan["layers"][1], "sizes": [0]}]}, r"layers\.0: .*at least 1"),
        (lambda plan: {**plan, "schema_version": 3}, "a plan of version 3; this program reads 1 to 2"),
        (lambda plan: [], "not a valid plan"),
    ],
)
def test_plans_that_cannot_be_used(standard, tmp_path, change, said):
    plan = plan_of(Choice(str(standard)), Goal(1)).model_dump(mode="json")
    path = written(tmp_path / "plan.json", change(plan))
    with pytest.raises(BadInput, match=said) as caught:
        compress_bundle(Choice(str(standard)), tmp_path / "net", plan_file=path)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["plan.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "give either `rank`, `target_macs`, `plan` or a budget"),
        ({"rank": 1, "plan_file": "plan.json"}, "give either `rank`, `target_macs`, `plan` or a budget"),
        ({"plan_file": "plan.json"}, "cannot be read"),
        ({"rank": 0}, "rank 0: FALCON needs a rank of at least 1"),
        ({"rank": -1}, "rank -1"),
        ({"rank": 10}, "above the lossless rank of every layer"),
        ({"rank": 1, "init": "whitened"}, "`init` whitened needs `data`"),
        ({"rank": 1, "recipe": RECIPE}, "fine-tuning needs `data`"),
        ({"rank": 1, "data": "nothing"}, "no such data set"),
    ],
)
def test_words_that_are_bad_input(standard, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    words = {key: tmp_path / value if key == "plan_file" else value for key, value in words.items()}
    with pytest.raises(BadInput, match=said) as caught:
        compress_bundle(Choice(str(standard)), tmp_path / "net", **words)
    assert "\n" not in str(caught.value)
    assert not os.listdir(tmp_path)


def test_what_cannot_be_compressed(standard, compressed, tmp_path, user_module, stripes):
    with pytest.raises(BadInput, match="is compressed already"):
        compress_bundle(Choice(str(compressed)), tmp_path / "net", rank=1)
    user_module("def net(): return nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten(), nn.Linear(576, 3))")
    with pytest.raises(BadInput, match="nothing to compress"):
        compress_bundle(Choice("users_own:net", input_shape=(1, 12, 12)), tmp_path / "net", rank=1)
    assert os.listdir(tmp_path) == ["user"]


def test_the_standard_network_is_not_written_over(standard, tmp_path):
    path = tmp_path / "net.falcon"
    shutil.copytree(standard, path)
    before = contents(path)
    with pytest.raises(BadInput, match=r"net\.falcon: is the standard network, which is still needed"):
        compress_bundle(Choice(str(path)), tmp_path / "net", rank=1)
    assert contents(path) == before


def test_a_bundle_that_is_there_is_kept_unless_it_is_to_go(standard, compressed, tmp_path):
    """The refusal comes before anything is read: neither network nor data is there."""
    path = tmp_path / "net.falcon"
    shutil.copytree(compressed, path)
    before = contents(path)
    words = {"data": "nothing", "rank": 1, "init": "whitened"}
    for recipe in (None, RECIPE):
        with pytest.raises(BadInput, match=r"net\.falcon: exists already; .* replace it with `force`"):
            compress_bundle(Choice("nothing"), path, **words, recipe=recipe)
    with locked(path), pytest.raises(BadInput, match=r"net\.falcon: process \d+ is writing it"):
        compress_bundle(Choice("nothing"), path, **words, force=True)
    assert contents(path) == before
    compress_bundle(Choice(str(standard)), path, rank=1, force=True)
    assert contents(path) != before
    assert os.listdir(tmp_path) == ["net.falcon"]


def test_data_that_does_not_fit_is_one_line(tmp_path, user_module):
    user_module("""
    def net():
        return nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(16, 16, 3, padding=1), nn.Flatten(), nn.Linear(144, 16))
    """)
    pack_bundle(Choice("users_own:net", input_shape=(1, 5, 5)), tmp_path / "net")
    np.savez(tmp_path / "x.npz", x_train=np.zeros((32, 9, 9), np.uint8), y_train=np.arange(32) % 16)
    source = Choice(str(tmp_path / "net.falcon"))
    with pytest.raises(BadInput, match="the data does not fit the network's input"):
        compress_bundle(source, tmp_path / "out", data=str(tmp_path / "x.npz"), rank=1)
    np.savez(tmp_path / "y.npz", x_train=np.zeros((32, 5, 5), np.uint8), y_train=np.arange(32) % 20)
    with pytest.raises(BadInput, match="has 16 classes, but the data has 20"):
        compress_bundle(source, tmp_path / "out", data=str(tmp_path / "y.npz"), rank=1)
    assert not (tmp_path / "out.falcon").exists()


def test_calibration_images_are_of_the_training_split(standard, tmp_path, stripes):
    """The same network from data that has other validation and test images."""
    arrays = dict(np.load(stripes))
    arrays["x_test"], arrays["x_val"] = 255 - arrays["x_test"], 255 - arrays["x_val"]
    np.savez(tmp_path / "stripes.npz", **arrays)
    for name, data in (("one", stripes), ("other", tmp_path / "stripes.npz")):
        compress_bundle(Choice(str(standard)), tmp_path / name, data=str(data), rank=1, init="whitened")
    digests = {
        hashlib.sha256((tmp_path / f"{name}.falcon" / "weights.safetensors").read_bytes()).hexdigest()
        for name in ("one", "other")
    }
    assert len(digests) == 1


def test_a_network_that_reads_the_weight_of_a_layer_keeps_it_and_counts_it(tmp_path, user_module):
    user_module("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.head = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 2)

        def forward(self, x):
            x = nn.functional.conv2d(self.b(self.a(x)), self.a.weight)
            return self.head(x.mean((2, 3)))
    """)
    choice = Choice("users_own:Net", input_shape=(8, 12, 12))
    manifest = compress_bundle(choice, tmp_path / "net", rank=1)
    plan = read_document(tmp_path / "net.falcon" / "plan.json", Plan)
    assert [(layer.name, layer.sizes) for layer in plan.layers] == [("a", ()), ("b", (1,))]
    assert "outside its forward pass" in plan.layers[0].reason
    assert manifest.macs == plan.planned_macs == 100 * 576 + 100 * 64 + 64 * 72 + 36 * 576 + 16
    (made,) = export_bundle(tmp_path / "net.falcon", ("onnx",)).exports
    assert made.macs == manifest.macs


def test_a_network_that_its_compressed_layers_do_not_fit_is_one_line(tmp_path, user_module):
    user_module("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.head = nn.Conv2d(8, 8, 3), nn.Linear(8, 2)

        def forward(self, x):
            assert isinstance(self.a, nn.Conv2d), "a convolution"
            return self.head(self.a(x).mean((2, 3)))
    """)
    with pytest.raises(BadInput, match="compressed, does not take an input of 8x12x12: a convolution"):
        compress_bundle(Choice("users_own:Net", input_shape=(8, 12, 12)), tmp_path / "net", rank=1)
    assert not (tmp_path / "net.falcon").exists()


# -- without labels --


@pytest.fixture
def unlabelled(stripes, tmp_path):
    """The stripes, but for what they show."""
    path = tmp_path / "unlabelled.npz"
    arrays = {name: values for name, values in np.load(stripes).items() if name.startswith("x_")}
    np.savez(path, **arrays)
    return path


def test_without_labels_it_learns_from_the_network_alone(standard, unlabelled, stripes, tmp_path):
    manifest = compress_bundle(
        Choice(str(standard)), tmp_path / "net", data=str(unlabelled), rank=1, recipe=replace(RECIPE, epochs=4)
    )
    plain = compress_bundle(Choice(str(standard)), tmp_path / "plain", data=str(unlabelled), rank=1)
    step = manifest.lineage.steps[-1]
    assert step.options["labels"] == "none: the network's own answers"
    assert step.options["distillation"] == 1.0
    (same,) = (quality for quality in manifest.quality if quality.metric == "same:logits")
    (before,) = (quality for quality in plain.quality if quality.metric == "same:logits")
    assert same.value >= before.value
    test = open_dataset(stripes).test
    right = [
        accuracy(opened.module, Images(test, opened.input))
        for opened in (open_network(Choice(str(tmp_path / name))) for name in ("net.falcon", "plain.falcon"))
    ]
    assert right[0] >= right[1]


def test_images_of_one_folder_are_learned_from(standard, stripes, tmp_path):
    images = open_dataset(stripes).train.images
    (tmp_path / "photos").mkdir()
    for index in range(60):
        Image.fromarray(images[index][..., 0]).save(tmp_path / "photos" / f"{index}.png")
    with pytest.warns(Notice, match="split by seed 0: 48 for training, 12 for the test"):
        manifest = compress_bundle(
            Choice(str(standard)), tmp_path / "net", data=str(tmp_path / "photos"), rank=1, recipe=RECIPE
        )
    assert manifest.lineage.steps[-1].options["labels"] == "none: the network's own answers"
    assert {(quality.split, quality.samples) for quality in manifest.quality} == {("test", 12)}


def test_the_moments_of_a_network_without_normalisation_are_matched(standard, stripes, tmp_path):
    """A file has its normalisation in its weights: matched, it answers as one whose normalisation is estimated anew."""
    bundle = shutil.copytree(standard, tmp_path / "standard.falcon")
    export_bundle(bundle, ("onnx",))
    data = str(stripes)
    folded, apart = (
        compress_bundle(Choice(str(model)), tmp_path / name, data=data, rank=1).quality[0].value
        for model, name in ((bundle / "exports" / "model.fp32.onnx", "folded"), (bundle, "apart"))
    )
    assert not has_batchnorm(network(tmp_path / "folded.falcon"))
    assert folded > apart - 0.05
