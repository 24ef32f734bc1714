"""One class is one class wherever data meets a model: the same images in another order of classes change nothing."""

import shutil

import numpy as np
import pytest

from falcon_edge.bundle import open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.notices import Notice
from falcon_edge.steps.bench import BenchRequest, bench
from falcon_edge.steps.check import check_models
from falcon_edge.steps.compress import compress_bundle
from falcon_edge.steps.export import export_bundle
from falcon_edge.steps.opening import Choice, open_with_data
from falcon_edge.steps.pack import pack_bundle
from falcon_edge.steps.quantize import Int8
from falcon_edge.steps.train import train_bundle
from falcon_edge.training.recipe import Recipe
from runtime_bench.bench import Protocol
from runtime_bench.regression import Tolerances

ORDER = (2, 0, 1)  # noise, rows, columns in the place of rows, columns, noise
QUICK = Protocol(runs=1, seconds=0.0, processes=1, rounds=1, warm_up_seconds=0.0, every=0)


def renamed(stripes, path, names, order=ORDER):
    """The stripes with their classes in another order, under these names (in the old order; None: without)."""
    arrays = dict(np.load(stripes))
    for name in arrays:
        if name.startswith("y_"):
            arrays[name] = np.argsort(order)[arrays[name]]
    arrays["labels"] = np.array([names[number] for number in order]) if names else None
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return str(path)


@pytest.fixture(scope="module")
def shuffled(stripes, tmp_path_factory):
    return renamed(stripes, tmp_path_factory.mktemp("shuffled") / "stripes.npz", ("rows", "columns", "noise"))


@pytest.fixture(scope="module")
def foreign(stripes, tmp_path_factory):
    """Other names, and the map that tells which they are."""
    data = renamed(stripes, tmp_path_factory.mktemp("foreign") / "stripes.npz", ("lines", "bars", "nothing"))
    return data, {"lines": "rows", "bars": 1, "nothing": "Noise"}


def top1(manifest):
    return manifest.quality[0].value


def test_data_in_another_order_is_the_same_data(standard, stripes, shuffled, foreign):
    known = open_with_data(Choice(str(standard)), str(stripes))[1]
    for data, class_map in ((shuffled, None), foreign):
        _, found = open_with_data(Choice(str(standard)), data, class_map)
        assert found.class_names == known.class_names == ("rows", "columns", "noise")
        for name, split in known.splits.items():
            assert np.array_equal(found.splits[name].labels, split.labels)
            assert found.splits[name].sha256() == split.sha256()


def test_compress_is_the_same(tmp_path, standard, stripes, shuffled, foreign):
    recipe = Recipe(epochs=1, learning_rate=0.05, batch_size=32, flip=False)
    made = [
        compress_bundle(
            Choice(str(standard)), tmp_path / str(number), data=data, class_map=class_map, rank=2, recipe=recipe
        )
        for number, (data, class_map) in enumerate(((str(stripes), None), (shuffled, None), foreign))
    ]
    assert len({manifest.lineage.identity for manifest in made}) == 1
    assert len({top1(manifest) for manifest in made}) == 1
    assert top1(made[0]) > 0.7  # at random it is a third
    assert made[2].lineage.steps[-1].options["class_map"] == foreign[1]
    assert "class_map" not in made[1].lineage.steps[-1].options


def test_train_goes_on_with_the_models_order(tmp_path, standard, shuffled):
    recipe = Recipe(epochs=1, learning_rate=0.01, batch_size=32, flip=False)
    manifest = train_bundle(Choice(str(standard)), shuffled, tmp_path / "again", recipe)
    assert manifest.labels == ("rows", "columns", "noise")
    assert top1(manifest) > 0.9


def test_export_calibrates_and_judges_the_same(tmp_path, standard, stripes, shuffled, foreign):
    found = []
    for data, class_map in ((str(stripes), None), (shuffled, None), foreign):
        path = shutil.copytree(standard, tmp_path / f"{len(found)}.falcon")
        manifest = export_bundle(path, ("onnx",), ("int8",), int8=Int8(data, samples=60, class_map=class_map))
        found.append(
            (
                manifest.quantization.data_sha256,
                manifest.advice[0].quality_float.value,
                manifest.advice[0].quality.value,
            )
        )
    assert len(set(found)) == 1
    assert found[0][1] > 0.9


def test_an_exported_file_knows_its_classes_and_its_normalisation(tmp_path, exported, stripes, shuffled, foreign):
    file, found = exported[0] / "exports" / "model.fp32.onnx", []
    for number, (data, class_map) in enumerate(((str(stripes), None), (shuffled, None), foreign)):
        found.append(pack_bundle(Choice(str(file)), tmp_path / str(number), data=data, class_map=class_map))
    assert {manifest.labels for manifest in found} == {("rows", "columns", "noise")}
    assert {top1(manifest) for manifest in found} == {top1(found[0])}
    assert {manifest.input for manifest in found} == {open_bundle(exported[0]).manifest.input}
    said = pack_bundle(Choice(str(file), mean=(0.3,), std=(0.7,)), tmp_path / "said")
    assert (said.input.mean, said.input.std) == ((0.3,), (0.7,))


def test_bench_and_check_find_the_same_accuracy(exported, stripes, shuffled, foreign):
    bundle = exported[0]
    file = bundle / "exports" / "model.fp32.onnx"
    right = set()
    for data, class_map in ((str(stripes), None), (shuffled, None), foreign):
        entries = bench((bundle, file), BenchRequest(QUICK, data=data, class_map=class_map)).entries
        right |= {round(entry.quality[0].value * entry.quality[0].samples) for entry in entries}
        checked = check_models(file, file, Tolerances(), protocol=QUICK, data=data, class_map=class_map, confirm=False)
        right |= {round(entry.quality[0].value * entry.quality[0].samples) for entry in checked.results.entries}
    assert len(right) == 1
    assert right.pop() > 80


def test_models_of_two_orders_are_measured_on_one_data_set(tmp_path, exported, stripes, shuffled):
    """Each gets the labels that are its own."""
    recipe = Recipe(epochs=4, learning_rate=0.1, batch_size=32, flip=False)
    other = tmp_path / "other.falcon"
    assert train_bundle(Choice("vgg8", width=0.125), shuffled, other, recipe).labels == ("noise", "rows", "columns")
    export_bundle(other, ("onnx",))
    entries = bench(
        (exported[0] / "exports" / "model.fp32.onnx", other), BenchRequest(QUICK, data=str(stripes))
    ).entries
    assert all(round(entry.quality[0].value * entry.quality[0].samples) > 80 for entry in entries)


def test_a_test_set_that_lacks_classes_is_measured_and_that_is_said(tmp_path, exported, stripes):
    arrays = dict(np.load(stripes))
    kept = arrays["y_test"] == 1
    np.savez(tmp_path / "some.npz", x=arrays["x_test"][kept], y=np.zeros(kept.sum(), int), labels=["columns"])
    with pytest.warns(Notice, match=r"some\.npz: lacks 2 of the 3 classes of .*: 'rows', 'noise'"):
        entries = bench(exported[:1], BenchRequest(QUICK, data=str(tmp_path / "some.npz"))).entries
    assert all(
        entry.quality[0].samples == 30 and round(entry.quality[0].value * entry.quality[0].samples) > 25
        for entry in entries
    )


def test_classes_that_the_model_does_not_have_can_be_left_out(tmp_path, exported, stripes):
    arrays = dict(np.load(stripes))
    x = np.concatenate([arrays["x_test"], arrays["x_test"]])
    y = np.concatenate([arrays["y_test"], np.full(90, 3)])
    np.savez(tmp_path / "more.npz", x=x, y=y, labels=["rows", "columns", "noise", "dots"])
    with pytest.raises(BadInput, match="has 3 classes, but the data has 4: 'dots' is none of"):
        bench(exported[:1], BenchRequest(QUICK, data=str(tmp_path / "more.npz")))
    entries = bench(
        exported[:1], BenchRequest(QUICK, data=str(tmp_path / "more.npz"), class_map={"dots": None})
    ).entries
    assert all(
        entry.quality[0].samples == 90 and round(entry.quality[0].value * entry.quality[0].samples) > 80
        for entry in entries
    )


# Networks built by name, which have no names for their classes


def test_a_class_map_with_numbers_names_a_networks_classes(tmp_path, foreign):
    data, _ = foreign
    class_map = {"lines": 3, "bars": 0, "nothing": 7}
    with pytest.warns(Notice, match="lacks 7 of the 10 classes of vgg8"):
        manifest = pack_bundle(Choice("vgg8", width=0.125), tmp_path / "net", data=data, class_map=class_map)
    assert manifest.labels == ("bars", "1", "2", "lines", "4", "5", "6", "nothing", "8", "9")
    _, dataset = open_with_data(Choice(str(tmp_path / "net.falcon")), data)
    assert np.bincount(dataset.test.labels, minlength=10)[[0, 3, 7]].tolist() == [30, 30, 30]


def test_a_class_map_with_names_makes_a_new_networks_classes(tmp_path, stripes):
    class_map = {"rows": "stripes", "columns": "stripes", "noise": None}
    opened, dataset = open_with_data(Choice("vgg8", width=0.125), str(stripes), class_map)
    assert opened.labels == dataset.class_names == ("stripes",)
    assert len(dataset.test) == 60
    opened, dataset = open_with_data(Choice("vgg8", width=0.125), str(stripes), class_map | {"noise": "none"})
    assert opened.labels == ("stripes", "none")
    assert np.bincount(dataset.test.labels).tolist() == [60, 30]


def test_numbers_of_classes_may_lack_some_of_a_network_and_names_may_not(tmp_path, stripes):
    numbers = renamed(stripes, tmp_path / "numbers.npz", None, order=(0, 1, 2))
    with pytest.warns(Notice, match="lacks 2 of the 5 classes of vgg8: '3', '4'"):
        opened, dataset = open_with_data(Choice("vgg8", width=0.125, num_classes=5), numbers)
    assert opened.labels == dataset.class_names == tuple("01234")
    with pytest.raises(BadInput, match="vgg8 has 5 classes, but the data has 3: use `num_classes` or `class_map`"):
        open_with_data(Choice("vgg8", width=0.125, num_classes=5), str(stripes))


def test_data_without_names_are_in_the_order_of_the_model_and_that_is_said(standard, stripes, tmp_path):
    numbers = renamed(stripes, tmp_path / "numbers.npz", None, order=(0, 1, 2))
    with pytest.warns(Notice, match="the classes of the data have no names, so that they are taken in their order"):
        opened, dataset = open_with_data(Choice(str(standard)), numbers)
    assert dataset.class_names == opened.labels == ("rows", "columns", "noise")
    assert np.array_equal(dataset.test.labels, open_with_data(Choice(str(standard)), str(stripes))[1].test.labels)
