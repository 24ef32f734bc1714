"""Networks without source: any module in memory, and .onnx files; their bundles hold a graph in the place of code."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

import falcon_edge as fe
from converters.runtimes import run_onnx
from falcon_edge.bundle import open_bundle
from falcon_edge.errors import BadInput
from falcon_edge.falcon.statistics import has_batchnorm
from falcon_edge.steps.graphs import FILE
from falcon_edge.steps.opening import Choice, open_network
from falcon_edge.steps.pack import pack_bundle
from runtime_bench.bench import Protocol
from runtime_bench.compare import compare

QUICK = Protocol(runs=3, processes=1, seconds=0.0, rounds=1, warm_up_runs=1, warm_up_seconds=0.0, every=0)


def made_here():
    """Of a class that no other process can import."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3)
            )
            self.head = nn.Linear(12 * 16, 3)

        def forward(self, x):
            return self.head(self.body(x).relu().flatten(1))

    torch.manual_seed(0)
    module = Own()
    module.body[1].running_mean.normal_()
    module.body[1].running_var.uniform_(0.5, 2)
    return module


def loader(stripes, split="train"):
    """What torch's loaders give."""
    arrays = np.load(stripes)
    x = torch.from_numpy(arrays[f"x_{split}"]).float().unsqueeze(1) / 255
    y = torch.from_numpy(arrays[f"y_{split}"])
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory, stripes):
    """(standard, small): bundles of a module and of what FALCON makes of it."""
    folder = tmp_path_factory.mktemp("saved")
    module = made_here()
    network = fe.from_module(module, torch.zeros(1, 1, 12, 12), labels=("rows", "columns", "noise"))
    small = fe.compress(network, fe.from_batches(loader(stripes), split="train"), rank=1)
    for name, each in (("standard", network), ("small", small)):
        fe.save(each, folder / name)
    return folder / "standard.falcon", folder / "small.falcon"


def test_a_bundle_of_it_is_opened_without_its_code(saved):
    code = "import sys; from falcon_edge.steps.opening import *; import torch; torch.manual_seed(1)\n"
    code += "network = open_network(Choice(sys.argv[1])); x = torch.ones(2, 1, 12, 12)\n"
    code += "print(*network.module(x)[0].tolist())"
    done = subprocess.run([sys.executable, "-c", code, saved[0]], capture_output=True, text=True, check=True)
    expected = made_here().eval()(torch.ones(2, 1, 12, 12))[0]
    assert np.allclose([float(number) for number in done.stdout.split()], expected.detach(), atol=1e-5)


def test_its_normalisation_is_still_there_to_be_estimated_anew(saved):
    assert has_batchnorm(open_network(Choice(str(saved[0]))).module)


def test_the_weights_are_under_the_names_of_its_owner(saved):
    from safetensors.torch import load_file

    held = load_file(saved[0] / "weights.safetensors")
    assert held.keys() == made_here().state_dict().keys()


def test_lineage_and_comparison_need_no_source(saved, stripes, tmp_path):
    import shutil

    paths = [Path(shutil.copytree(path, tmp_path / path.name)) for path in saved]
    data = fe.from_batches(loader(stripes), split="train", limit=64)
    for path in paths:
        fe.export_bundle(path, ["onnx", "tflite"], ["fp32", "int8"], int8=fe.Int8(data, accept_loss=True))
    test = fe.from_batches(loader(stripes, "test"), class_names=("rows", "columns", "noise"))
    results = fe.bench(paths, fe.BenchRequest(QUICK, data=test))
    rows = compare([results])
    assert len(rows) == 8
    assert {row.standard.model.name for row in rows} == {"standard"}
    module = made_here().eval()
    with torch.no_grad():
        right = sum(int((module(x).argmax(1) == y).sum()) for x, y in loader(stripes, "test"))
    fp32 = [entry for entry in results.entries if entry.model.name == "standard" and entry.model.precision == "fp32"]
    assert [entry.quality[0].value for entry in fp32] == pytest.approx([right / 90] * 2)


def test_it_can_be_compressed_from_its_bundle(saved, stripes, tmp_path):
    from falcon_edge.steps.compress import compress_bundle

    manifest = compress_bundle(Choice(str(saved[0])), tmp_path / "later", data=str(stripes), rank=1)
    assert manifest.lineage.parent.identity == open_bundle(saved[0]).manifest.lineage.identity
    assert manifest.macs == open_bundle(saved[1]).manifest.macs


def test_what_is_tuned_in_a_loop_of_its_owner_comes_back(saved, stripes, tmp_path):
    network = fe.from_module(made_here(), torch.zeros(1, 1, 12, 12))
    small = fe.compress(network, fe.from_batches(loader(stripes), split="train"), rank=1)
    optimiser = torch.optim.Adam(small.module.parameters(), 0.01)
    with fe.features(network.module, ["body.4"]) as wanted, fe.features(small.module, ["body.4"]) as found:
        for _ in range(3):
            for x, y in loader(stripes):
                with torch.no_grad():
                    teacher = network.module(x)
                student = small.module.train()(x)
                loss = nn.functional.cross_entropy(student, y) + fe.distillation(student, teacher)
                loss = loss + 0.1 * fe.matching(found, wanted)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    fe.reestimate_batchnorm(small.module, loader(stripes))
    fe.save(network, tmp_path / "standard")
    manifest = fe.save(fe.tuned(small, options={"epochs": 3}), tmp_path / "small")
    assert manifest.lineage.parent.identity == open_bundle(tmp_path / "standard.falcon").manifest.lineage.identity
    with torch.no_grad():
        right = sum(int((small.module.eval()(x).argmax(1) == y).sum()) for x, y in loader(stripes, "test"))
    assert right > 80


@pytest.mark.parametrize(
    ("example", "options", "says"),
    [
        (torch.zeros(1, 12, 12), {}, "give an input"),
        (torch.zeros(1, 3, 12, 12), {}, "does not take an input of 3x12x12"),
        (torch.zeros(1, 1, 12, 12), {"labels": ("a", "b")}, "gives 3 classes, and there are 2 labels"),
        (torch.zeros(1, 1, 12, 12), {"mean": (0.5,)}, "`mean` and `std` go together"),
        (torch.zeros(1, 1, 12, 12), {"mean": (0.5, 0.5), "std": (1, 1)}, "mean and std need 1 numbers each"),
    ],
)
def test_what_does_not_fit_is_said(example, options, says):
    with pytest.raises(BadInput, match=says):
        fe.from_module(made_here(), example, **options)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda module: module.to(torch.bfloat16), r"own: body\.0\.weight is bfloat16; bundles are float32"),
        (lambda module: module.double(), r"own: body\.0\.weight is float64"),
        (lambda module: module.to("meta"), r"own: body\.0\.weight is on the meta device, without numbers"),
        (lambda module: torch.jit.trace(module, torch.zeros(1, 1, 12, 12)), "own: is a TorchScript program"),
    ],
)
def test_modules_of_other_numbers_are_said(change, says):
    with pytest.raises(BadInput, match=says):
        fe.from_module(change(made_here().eval()), torch.zeros(1, 1, 12, 12), name="own")


def test_wrappers_are_taken_off(tmp_path):
    module = made_here()
    for wrapped in (torch.compile(module), nn.DataParallel(module)):
        assert fe.from_module(wrapped, torch.zeros(1, 1, 12, 12)).module is module


class Untraceable(nn.Module):
    def forward(self, x):
        return torch.linalg.eigvals(x[:, 0].mT @ x[:, 0]).abs()


def test_a_module_that_cannot_become_a_graph_is_refused_and_leaves_nothing(tmp_path):
    network = fe.from_module(Untraceable(), torch.zeros(1, 1, 4, 4), name="strange")
    with pytest.raises(BadInput, match="strange: torch cannot export this network"):
        fe.save(network, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("batches", "says"),
    [
        ([], "gives no batch"),
        ([torch.zeros(0, 1, 4, 4)], "gives empty batches"),
        ([{"x": torch.zeros(2, 1, 4, 4)}], "batch 0 is a dict"),
        (["file.png"], "batch 0 is a str"),
        ([None], "batch 0 is a NoneType"),
        ([torch.zeros(2, 3)], r"must be floats \(B, C, H, W\)"),
        ([torch.zeros(2, 1, 4, 4, dtype=torch.uint8)], r"must be floats \(B, C, H, W\)"),
        ([torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 5, 4)], "earlier ones"),
        ([(torch.zeros(2, 1, 4, 4), torch.zeros(3))], "not as many targets as inputs"),
        ([np.zeros((2, 1, 4, 4), "f4"), np.full((2, 1, 4, 4), np.nan, "f4")], "image 0 .* of batch 1 holds NaN"),
    ],
)
def test_a_loader_that_gives_something_else_is_said(batches, says):
    with pytest.raises(BadInput, match=says):
        fe.from_batches(iter(batches))


def test_what_is_no_loader_is_said():
    with pytest.raises(BadInput, match="mine: a int is no loader; give an iterable of batches"):
        fe.from_batches(5, "mine")
    module = nn.Sequential(nn.BatchNorm2d(1))
    with pytest.raises(BadInput, match=r"batches: batch 1 is float32 \(4, 4\); it must be floats"):
        fe.reestimate_batchnorm(module, [torch.zeros(2, 1, 4, 4), torch.zeros(4, 4)])
    with pytest.raises(BadInput, match="batches: the loader gives no batch"):
        fe.reestimate_batchnorm(module, iter([]))


def test_a_loader_in_the_place_of_a_data_set_is_said(stripes):
    network = fe.from_module(made_here(), torch.zeros(1, 1, 12, 12))
    says = "a DataLoader is no data set: from_batches makes one of what a loader gives"
    with pytest.raises(BadInput, match=says):
        fe.compress(network, loader(stripes), rank=1)
    with pytest.raises(BadInput, match=says):
        fe.tuned(network, loader(stripes))
    with pytest.raises(BadInput, match=says):
        fe.open_dataset(loader(stripes))


def test_a_loader_is_read_as_far_as_it_is_needed():
    def endless():
        while True:
            yield torch.zeros(4, 1, 2, 2), torch.ones(4, dtype=torch.int32)

    found = fe.from_batches(endless(), limit=10)
    assert len(found.test) == 10
    assert found.test.labels.tolist() == 10 * [1]


def test_bfloat16_is_read():
    found = fe.from_batches([torch.full((1, 1, 2, 2), 1.5, dtype=torch.bfloat16)])
    assert found.test.images.tolist() == [[[[1.5, 1.5], [1.5, 1.5]]]]


# -- .onnx files --


@pytest.fixture
def file(exported):
    return exported[0] / "exports" / "model.fp32.onnx"


def test_an_onnx_is_a_network(file, exported, stripes, tmp_path):
    manifest = pack_bundle(Choice(str(file)), tmp_path / "packed", data=str(stripes))
    assert manifest.architecture.source == "graph"
    assert (tmp_path / "packed.falcon" / FILE).is_file()
    (quality,) = manifest.quality
    x = torch.randn(2, *manifest.input.shape)
    with torch.no_grad():
        found = open_network(Choice(str(tmp_path / "packed.falcon"))).module(x)
        expected = open_network(Choice(str(exported[0]))).module(x)
    assert torch.allclose(found, expected, atol=1e-4)
    assert quality.metric == "top1"


def keras(path):
    """A graph whose images have their channels last, and which turns them first; a map and a row."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
        helper.make_node("Transpose", ["c"], ["turned"], perm=[0, 2, 3, 1]),
        helper.make_node("Sigmoid", ["turned"], ["map"]),
    ]
    outputs = [helper.make_tensor_value_info(*each) for each in (("y", 1, [1, 4]), ("map", 1, [1, 6, 8, 4]))]
    graph = helper.make_graph(
        nodes,
        "keras",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6, 8, 3])],
        outputs,
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def test_a_graph_whose_channels_are_last_takes_images_as_all_others_do(tmp_path):
    keras(tmp_path / "keras.onnx")
    manifest = pack_bundle(Choice(str(tmp_path / "keras.onnx")), tmp_path / "packed")
    assert manifest.input.shape == (3, 6, 8)
    assert [output.shape for output in manifest.outputs] == [(4,), (4, 6, 8)]
    fe.export_bundle(tmp_path / "packed.falcon", ["onnx", "tflite"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "packed.falcon" / "exports" / "model.fp32.onnx").graph.node]
    assert kinds[0] == "Conv"
    image = np.random.default_rng(0).standard_normal((2, 3, 6, 8)).astype(np.float32)
    (_, own), (_, made) = (
        run_onnx(tmp_path / name, given)
        for name, given in (
            ("keras.onnx", np.ascontiguousarray(image.transpose(0, 2, 3, 1))),
            ("packed.falcon/exports/model.fp32.onnx", image),
        )
    )
    assert np.allclose(made, own.transpose(0, 3, 1, 2), atol=1e-5)


@pytest.mark.parametrize("options", [{"num_classes": 3}, {"width": 0.5}, {"input_shape": (1, 12, 12)}])
def test_options_of_built_networks_are_refused(file, options):
    with pytest.raises(BadInput, match="has its own weights and input"):
        open_network(Choice(str(file), **options))


@pytest.mark.parametrize(
    ("shape", "weight", "says"),
    [
        ([4, 3, 8, 8], 1.0, r"takes \(4, 3, 8, 8\); one image"),
        ([1, 3, 8, 8], np.nan, "answers with values that are not finite; look at its weights"),
        ([1, 3, 8, 8], np.inf, "answers with values that are not finite; look at its weights"),
    ],
)
def test_a_graph_that_is_of_no_use_is_said(tmp_path, shape, weight, says):
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 4, 6, 6])],
        [onnx.numpy_helper.from_array(np.full((4, 3, 3, 3), weight, np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), tmp_path / "a.onnx")
    with pytest.raises(BadInput, match=says):
        open_network(Choice(str(tmp_path / "a.onnx")))


def test_what_is_no_onnx_is_said(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"a\.onnx"):
        open_network(Choice(str(tmp_path / "a.onnx")))
    with pytest.raises(BadInput, match=r"b\.onnx"):
        open_network(Choice(str(tmp_path / "b.onnx")))


def test_a_bundle_without_its_graph_is_refused(saved, tmp_path):
    import shutil

    broken = Path(shutil.copytree(saved[0], tmp_path / "broken.falcon"))
    (broken / FILE).unlink()
    lines = (broken / "SHA256SUMS").read_text().splitlines(keepends=True)
    (broken / "SHA256SUMS").write_text("".join(line for line in lines if not line.endswith(f"{FILE}\n")))
    with pytest.raises(BadInput, match=r"broken\.falcon"):
        open_network(Choice(str(broken)))
