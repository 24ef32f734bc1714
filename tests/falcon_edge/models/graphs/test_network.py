"""An imported module is an ordinary one: its names, batches, training, surgery, copies and exports."""

import copy
import io
import pickle
import warnings

import numpy as np
import onnx
import pytest
import torch
from emission import graph, node, random
from imported import answers, decibels, imported, noise, right
from small_networks import resnet, settled, vgg
from torch import nn

from converters.onnx_export import export_onnx
from converters.parity import snr_db
from converters.passes.current_form import current_form
from converters.torch_parity import check_onnx
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.forms.falcon import FalconConv2d
from falcon_edge.falcon.plan import uniform_plan
from falcon_edge.models.graphs import module_of
from falcon_edge.models.ordinary import ordinary
from falcon_edge.models.sources import build

NETWORKS = {"vgg": vgg, "resnet": resnet}


@pytest.fixture(scope="module", params=NETWORKS)
def original(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]()


@pytest.fixture(scope="module")
def exported(original, tmp_path_factory):
    return exported_to(original, original.shape, tmp_path_factory.mktemp("exported") / "a.onnx")


@pytest.fixture
def network(exported):
    return imported(onnx.load(exported))


def exported_to(network, shape, path):
    return export_onnx(network, torch.zeros(1, *shape), path, simplify=False).path


def with_normalisation(network, shape):
    """A graph of torch's exporter in which BatchNormalization stays a node."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, *shape),),
            file,
            dynamo=False,
            opset_version=17,
            input_names=["input"],
            output_names=["logits"],
            training=torch.onnx.TrainingMode.PRESERVE,
        )
    return onnx.ModelProto.FromString(file.getvalue())


def test_it_gives_what_the_original_gives(original, exported, network):
    assert decibels(network, onnx.load(exported)) >= 120
    (parity,) = check_onnx(network, noise((4, *original.shape)), exported)
    assert parity.snr_db >= 120
    images = torch.from_numpy(noise((5, *original.shape), seed=3))
    with torch.no_grad():
        assert snr_db(original(images).numpy(), network(images).numpy()) >= 110
    assert network.bound is None
    assert network.input.layout == "NCHW"
    assert network.input.shape == (1, *original.shape)


def test_layers_stand_where_they_stood(original, network):
    """Convolutions and matrix products have the paths of the original, although normalisation was folded."""
    expected = {
        name: type(module) for name, module in original.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }
    found = {
        name: type(module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }
    assert found == expected
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_state_dict_of_the_original_fits(original):
    """Where nothing was folded, names and numbers are those of the network that was exported."""
    model = current_form(with_normalisation(original, original.shape))
    network = module_of(model, "a.onnx")
    theirs = original.state_dict()
    assert network.state_dict().keys() == theirs.keys()
    assert all(
        torch.equal(value, theirs[name]) for name, value in network.state_dict().items() if "batches" not in name
    )
    assert decibels(network, model) >= 110
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == sum(isinstance(module, nn.BatchNorm2d) for module in original.modules())
    network.load_state_dict(theirs)


def test_normalisation_is_estimated_again_in_train_mode(original):
    network = module_of(current_form(with_normalisation(original, original.shape)), "a.onnx")
    first = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    assert first.momentum == pytest.approx(0.1)
    before = first.running_mean.clone()
    network.train()
    network(torch.randn(8, *original.shape) + 3)
    assert not torch.allclose(first.running_mean, before)


def test_names_depend_on_the_graph_alone(exported, network):
    again = imported(onnx.load(exported))
    assert list(again.state_dict()) == list(network.state_dict())
    assert all(
        torch.equal(one, other)
        for one, other in zip(again.state_dict().values(), network.state_dict().values(), strict=True)
    )


def test_nothing_is_drawn_and_the_graph_stays(exported):
    model = onnx.load(exported)
    before, state = model.SerializeToString(), torch.random.get_rng_state()
    module_of(model, "a.onnx")
    assert model.SerializeToString() == before
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_copies_are_apart(network, copied):
    value = noise(network.input.shape)
    before = answers(network, value)
    other = copied(network)
    assert all(np.array_equal(found, before[name]) for name, found in answers(other, value).items())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert all(np.array_equal(found, before[name]) for name, found in answers(network, value).items())


def test_training_moves_every_weight(network):
    network.train()
    images = torch.randn(4, *network.input.shape[1:])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = [parameter.clone() for parameter in network.parameters()]
    loss = nn.functional.cross_entropy(network(images), torch.arange(4))
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())
    optimizer.step()
    assert not any(torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))


def test_autocast(network):
    images = torch.from_numpy(noise((2, *network.input.shape[1:])))
    with torch.no_grad():
        exact = network(images)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(images)
    assert rounded.dtype == torch.bfloat16
    assert snr_db(exact.numpy(), rounded.float().numpy()) >= 20


def test_autocast_of_layers_that_meet_numbers_of_their_own():
    nodes = [
        node("Conv", ["input", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("PRelu", ["a", "slope"], ["b"]),
        node("PRelu", ["b", "odd"], ["c"]),
        node("InstanceNormalization", ["c", "one", "two"], ["d"]),
        node("Concat", ["d", "beside"], ["e"], axis=1),
        node("AveragePool", ["e"], ["v"], kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
        node("MaxPool", ["v"], ["f"], kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
        node("Resize", ["f", "", "s"], ["g"], mode="linear", coordinate_transformation_mode="asymmetric"),
        node("Mul", ["g", "t"], ["h"]),
        node("MatMul", ["h", "m"], ["i"]),
        node("LayerNormalization", ["i", "n"], ["j"]),
        node("Pow", ["j", "p"], ["k"]),
        node("Clip", ["k", "", "q"], ["l"]),
        node("ConvTranspose", ["l", "x"], ["y"], pads=[0, 0, 1, 1]),
        node("ReduceL2", ["y"], ["logits"], axes=[2, 3]),
    ]
    constants = {
        **{"w": random(4, 4, 3, 3), "slope": random(4, 1, 1), "odd": random(6, 6), "one": random(4), "two": random(4)},
        **{"beside": random(1, 1, 6, 6), "s": np.float32([1, 1, 2, 2]), "t": random(5, 1, 1), "m": random(12, 3)},
        **{"n": random(3), "p": np.float32(2), "q": np.float32(1), "x": random(5, 2, 2, 2)},
    }
    network = right(graph(nodes, (1, 4, 6, 6), **constants))
    images = torch.from_numpy(noise((2, 4, 6, 6)))
    with torch.no_grad():
        exact = network(images)
        for kind in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", kind):
                assert snr_db(exact.numpy(), network(images).float().numpy()) >= 20
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        network(images).float().sum().backward()


def test_channels_last(network):
    images = torch.from_numpy(noise((2, *network.input.shape[1:])))
    with torch.no_grad():
        exact = network(images)
        found = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    assert snr_db(exact.numpy(), found.numpy()) >= 110


def test_hooks_see_the_layers(network):
    seen = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, name=name: seen.append(name))
    with torch.no_grad():
        network(torch.zeros(network.input.shape))
    assert sorted(seen) == sorted(name for name, module in network.named_modules() if isinstance(module, nn.Conv2d))


def test_surgery_is_that_of_the_original(original, network):
    """Rank 1 of folded kernels is rank 1 of the kernels: each output channel has a factor of its own."""
    shape = original.shape
    plan, other = uniform_plan(original, shape, 1), uniform_plan(network, shape, 1)
    assert other.replaced == plan.replaced
    assert plan.replaced
    one, two = surgery.apply(original, plan.replaced), surgery.apply(network, other.replaced)
    assert sum(isinstance(module, FalconConv2d) for module in two.modules()) == len(plan.replaced)
    images = torch.from_numpy(noise((3, *shape)))
    with torch.no_grad():
        assert snr_db(one(images).numpy(), two(images).numpy()) >= 90


def test_a_compressed_one_is_exported(network, tmp_path):
    small = surgery.apply(network, uniform_plan(network, network.input.shape[1:], 2).replaced)
    path = exported_to(small, network.input.shape[1:], tmp_path / "small.onnx")
    (parity,) = check_onnx(small, noise((2, *network.input.shape[1:])), path)
    assert parity.snr_db >= 110


def test_it_is_an_ordinary_network_to_us(network):
    module, done = ordinary(network)
    assert module is network
    assert not done


def test_the_networks_of_the_paper_come_back(tmp_path):
    for name, shape in (("vgg8", (1, 28, 28)), ("resnet34", (3, 32, 32))):
        network = settled(build(name, width=0.25), shape)
        path = exported_to(network, shape, tmp_path / f"{name}.onnx")
        first = imported(onnx.load(path))
        again = exported_to(first, shape, tmp_path / f"{name}.again.onnx")
        assert decibels(first, onnx.load(again)) >= 100
        second = imported(onnx.load(again))
        weights = {key for key in first.state_dict() if key.endswith(("weight", "bias"))}
        assert weights == {key for key in second.state_dict() if key.endswith(("weight", "bias"))}


# Graphs that say more than one thing.


def test_a_target_of_one_image_is_one_of_any_batch():
    nodes = [
        node("GlobalAveragePool", ["input"], ["pooled"]),
        node("Reshape", ["pooled", "row"], ["flat"]),
        node("Gemm", ["flat", "w"], ["logits"], transB=1),
    ]
    for row in ([1, 4], [1, -1], [-1, 4], [0, 4], [0, -1]):
        network = right(graph(nodes, (1, 4, 6, 6), row=np.array(row), w=random(3, 4)))
        assert network.bound is None


def test_windows_and_heads_keep_their_batch():
    """An axis may become batch times something, and come back."""
    nodes = [
        node("Reshape", ["input", "cut"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 4, 3, 5, 1]),
        node("Reshape", ["b", "windows"], ["c"]),
        node("MatMul", ["c", "w"], ["d"]),
        node("Softmax", ["d"], ["e"]),
        node("Reshape", ["e", "back"], ["f"]),
        node("Transpose", ["f"], ["logits"], perm=[0, 5, 1, 3, 2, 4]),
    ]
    targets = {"cut": [1, 4, 2, 3, 2, 3], "windows": [4, 9, 4], "back": [1, 2, 2, 3, 3, 4]}
    constants = {name: np.array(target) for name, target in targets.items()}
    network = right(graph(nodes, (1, 4, 6, 6), w=random(4, 4), **constants))
    assert network.bound is None


def test_what_is_the_same_for_every_image_is_joined_to_each():
    nodes = [
        node("Flatten", ["input"], ["flat"], axis=2),
        node("Reshape", ["flat", "s"], ["rows"]),
        node("Concat", ["token", "rows"], ["all"], axis=1),
        node("Add", ["all", "places"], ["logits"]),
    ]
    network = right(graph(nodes, (1, 4, 2, 3), s=np.array([1, 4, 6]), token=random(1, 1, 6), places=random(1, 5, 6)))
    assert network.bound is None


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Softmax", ["input"], ["logits"], "mix", axis=0)],
        [node("ReduceMean", ["input"], ["logits"], "mix", axes=[0])],
        [node("Concat", ["input", "input"], ["logits"], "mix", axis=0)],
        [node("Gather", ["input", "i"], ["logits"], "mix", axis=0)],
        [node("Reshape", ["input", "s"], ["x"]), node("Mul", ["x", "w"], ["logits"], "mix")],
        [node("Transpose", ["input"], ["x"], perm=[1, 0, 2, 3]), node("Conv", ["x", "k"], ["logits"], "mix")],
    ],
)
def test_what_depends_on_the_batch_says_so(nodes):
    constants = {"i": np.array(0), "s": np.array([4, 36]), "w": random(4, 1), "k": random(2, 1, 1, 1)}
    used = {name for each in nodes for name in each.input}
    network = right(graph(nodes, (1, 4, 6, 6), **{name: value for name, value in constants.items() if name in used}))
    assert "mix (" in network.bound
    with pytest.raises(BadInput, match=r"a.onnx: takes batches of 1 alone, not of 2: mix \("):
        network(torch.zeros(2, 4, 6, 6))


def test_a_file_of_a_larger_batch():
    nodes = [
        node("Conv", ["input", "w"], ["c"]),
        node("Reshape", ["c", "row"], ["flat"]),
        node("Gemm", ["flat", "v"], ["logits"]),
    ]
    network = right(graph(nodes, (4, 3, 5, 5), w=random(2, 3, 3, 3), row=np.array([4, 18]), v=random(18, 6)))
    assert network.bound is None
    assert answers(network, noise((3, 3, 5, 5)))["logits"].shape == (3, 6)


def test_images_whose_channels_come_last():
    """As Keras writes them: a Transpose at the beginning and one at the end, both of which stay."""
    nodes = [
        node("Sub", ["input", "mean"], ["centred"]),
        node("Transpose", ["centred"], ["x"], perm=[0, 3, 1, 2]),
        node("Conv", ["x", "w"], ["y"], pads=[0, 0, 1, 1], strides=[2, 2]),
        node("Transpose", ["y"], ["logits"], perm=[0, 2, 3, 1]),
    ]
    network = right(graph(nodes, (1, 6, 8, 3), mean=random(3), w=random(5, 3, 2, 2)))
    assert network.input.layout == "NHWC"
    assert network.input.shape == (1, 6, 8, 3)
    assert network.bound is None
    assert network.last == ("logits",)


@pytest.mark.parametrize(
    ("ends", "last"),
    [
        ([node("Transpose", ["y"], ["z"], perm=[0, 2, 3, 1]), node("Softmax", ["z"], ["logits"])], True),
        ([node("Transpose", ["y"], ["z"], perm=[0, 2, 3, 1]), node("MatMul", ["z", "m"], ["logits"])], True),
        ([node("Conv", ["y", "one"], ["o"]), node("Reshape", ["o", "s"], ["logits"])], True),
        ([node("Sigmoid", ["y"], ["logits"])], False),
        ([node("Transpose", ["y"], ["z"], perm=[0, 2, 3, 1]), node("ReduceMax", ["z"], ["logits"], axes=[3])], False),
    ],
    ids=["softmax", "dense", "one channel", "first", "another"],
)
def test_maps_whose_channels_come_last(ends, last):
    nodes = [
        node("Transpose", ["input"], ["x"], perm=[0, 3, 1, 2]),
        node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1]),
        *ends,
    ]
    shape = np.array([-1, 6, 8, 1])
    weights = {"w": random(5, 3, 3, 3), "m": random(5, 4), "one": random(1, 5, 1, 1), "s": shape}
    used = {name for each in nodes for name in each.input}
    network = right(graph(nodes, (1, 6, 8, 3), **{name: value for name, value in weights.items() if name in used}))
    assert network.last == (("logits",) if last else ())


def test_an_input_of_which_nothing_tells_the_layout():
    assert right(graph([node("Relu", ["input"], ["logits"])], (1, 4, 6, 6))).input.layout is None


def test_weights_that_are_shared_are_one_layer():
    nodes = [
        node("Conv", ["input", "head.weight", "head.bias"], ["a"], pads=[1, 1, 1, 1]),
        node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["b", "head.weight", "head.bias"], ["c"], pads=[1, 1, 1, 1]),
        node("Conv", ["c", "head.weight", "head.bias"], ["logits"], pads=[1, 1, 1, 1], strides=[2, 2]),
    ]
    network = right(graph(nodes, (1, 4, 8, 8), **{"head.weight": random(4, 4, 3, 3), "head.bias": random(4)}))
    assert [step.layer for step in network.steps] == ["head", "MaxPool_0", "head", "Conv_1"]
    assert "head.weight" in network.state_dict()


def test_numbers_that_are_stored_once_are_those_of_each_layer():
    """Exporters store equal weights once: of a fresh normalisation, scale and variance are the same ones."""
    norms = [
        node("BatchNormalization", [name, "one", "zero", "zero", "one"], [f"{name}n"]) for name in ("input", "inputn")
    ]
    network = right(
        graph(
            [*norms, node("Relu", ["inputnn"], ["logits"])], (1, 4, 6, 6), one=np.ones(4, "f"), zero=np.zeros(4, "f")
        ),
        folded=False,
    )
    places = [value.data_ptr() for value in network.state_dict().values()]
    assert len(set(places)) == len(places) == 10


def test_images_of_one_channel_that_come_last():
    nodes = [node("Reshape", ["input", "s"], ["x"]), node("Conv", ["x", "w"], ["logits"])]
    network = right(graph(nodes, (1, 6, 8, 1), s=np.array([-1, 1, 6, 8]), w=random(5, 1, 2, 2)))
    assert network.input.layout == "NHWC"
    assert network.bound is None


def test_several_outputs_have_their_names():
    made = graph([node("Relu", ["input"], ["logits"]), node("Tanh", ["input"], ["boxes"])], (1, 4, 6, 6))
    made.graph.output.append(onnx.helper.make_tensor_value_info("boxes", 1, None))
    network = right(made)
    assert list(network(torch.zeros(2, 4, 6, 6))) == ["logits", "boxes"]


def test_gelu_and_hard_swish_that_the_converters_named():
    class Activations(nn.Module):
        def forward(self, x):
            return nn.functional.gelu(x) + nn.functional.gelu(x, approximate="tanh") * nn.functional.hardswish(x)

    model = with_normalisation(Activations(), (3, 4, 4))
    kinds = {type(module) for module in right(model, named=True, at_least=90).modules()}
    assert {nn.GELU, nn.Hardswish} <= kinds
    assert nn.GELU not in {type(module) for module in right(model).modules()}


@pytest.mark.parametrize("affine", [True, False])
def test_group_normalisation_is_found_again(affine, tmp_path):
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.GroupNorm(3, 6, affine=affine), nn.ReLU(), nn.GroupNorm(1, 6), nn.Conv2d(6, 2, 3)
    )
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    path = exported_to(network.eval(), (3, 9, 8), tmp_path / "a.onnx")
    found = right(onnx.load(path))
    assert found.state_dict().keys() == network.state_dict().keys()
    assert [type(module) for module in found.children()] == [type(module) for module in network.children()]
    assert (found.get_submodule("1").num_groups, found.get_submodule("3").num_groups) == (3, 1)
    again = exported_to(found, (3, 9, 8), tmp_path / "again.onnx")
    assert decibels(found, onnx.load(again)) >= 100


def test_matrix_products_over_pixels_have_their_names(tmp_path):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.norm = nn.Linear(4, 6), nn.LayerNorm(6)

        def forward(self, x):
            return self.norm(self.fc(x.permute(0, 2, 3, 1)))

    network = nn.Sequential(Block(), nn.Linear(6, 6, bias=False))
    path = exported_to(network.eval(), (4, 3, 5), tmp_path / "a.onnx")
    found = right(onnx.load(path))
    assert found.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in found.state_dict().items())


def test_a_name_is_never_code_and_never_an_attribute():
    """Names come from files of others."""
    strange = [
        "forward",
        "steps.x.weight",
        "a.b; import os.weight",
        "..weight",
        "a." * 200 + "weight",
        "é.weight",
        "training",
    ]
    nodes, constants, value = [], {}, "input"
    for index, name in enumerate(strange):
        weight = name if name.endswith("weight") else f"w{index}"
        constants[weight] = random(4, 4, 1, 1)
        nodes.append(node("Conv", [value, weight], [f"{name} {index}"], name))
        value = f"{name} {index}"
    nodes.append(node("Add", [value, "constants"], ["logits"], "constants"))
    network = right(graph(nodes, (1, 4, 6, 6), **constants, constants=random(4, 1, 1)))
    paths = [step.layer for step in network.steps]
    assert paths == ["forward_", "steps_.x", "a.b__import_os", "weight", "Conv_4", "_", "training_", "constants_"]
    assert network.stored == {"constants": "constants.constants_"}
