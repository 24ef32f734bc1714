"""The networks of the paper, layer by layer as it describes them, and the small one of the demo."""

import pytest
import torch
from torch import nn

from falcon_edge.models.sources import BUILTIN, build
from falcon_edge.models.width import scaled

POOLED = "pool"
VGG19 = [64, 64, POOLED, 128, 128, POOLED, *[256] * 4, POOLED, *[512] * 4, POOLED, *[512] * 4, POOLED]
VGG16 = [64, 64, POOLED, 128, 128, POOLED, *[256] * 3, POOLED, *[512] * 3, POOLED, *[512] * 3, POOLED]
VGG8 = [32, POOLED, 64, 64, POOLED, 128, 128, 128]


def made(name, **choices):
    """On no device at all: the shapes of the largest networks cost nothing."""
    with torch.device("meta"):
        return build(name, **choices)


def traced(network, shape):
    """(module, input shape, output shape) of every leaf that runs, in order."""
    rows, hooks = [], []
    for module in network.modules():
        if next(module.children(), None) is None:
            hooks.append(
                module.register_forward_hook(
                    lambda module, args, output: rows.append((module, args[0].shape[1:], output.shape[1:]))
                )
            )
    with torch.device("meta"):
        network(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return [row for row in rows if not isinstance(row[0], nn.Identity)]


def described(module):
    """One layer as the paper would write it."""
    match module:
        case nn.Conv2d():
            kernel, channels = "x".join(map(str, module.kernel_size)), f"{module.in_channels}->{module.out_channels}"
            bias = "bias" if module.bias is not None else "no bias"
            return f"conv{kernel} {channels} /{module.stride[0]} pad {module.padding[0]} {bias}"
        case nn.Linear():
            return f"linear {module.in_features}->{module.out_features}"
        case nn.BatchNorm2d():
            return f"bn {module.num_features}"
        case nn.Dropout():
            return f"dropout {module.p}"
        case nn.MaxPool2d():
            return f"max {module.kernel_size} /{module.stride} pad {module.padding}"
        case nn.AdaptiveAvgPool2d():
            return f"average to {module.output_size}"
        case nn.ReLU():
            return "relu"
    raise AssertionError(module)


def vgg_layers(groups, channels, bias):
    layers = []
    for entry in groups:
        if entry == POOLED:
            layers.append("max 2 /2 pad 0")
        else:
            layers += [f"conv3x3 {channels}->{entry} /1 pad 1 {bias}", f"bn {entry}", "relu"]
            channels = entry
    return layers


@pytest.mark.parametrize(
    ("name", "groups", "bias", "head"),
    [
        ("vgg19", VGG19, "bias", ["linear 512->512", "dropout 0.3", "relu", "linear 512->10"]),
        (
            "vgg16_bn",
            VGG16,
            "bias",
            [
                "average to 7",
                *["linear 25088->4096", "relu", "dropout 0.5"],
                *["linear 4096->4096", "relu", "dropout 0.5"],
                "linear 4096->1000",
            ],
        ),
        (
            "vgg8",
            VGG8,
            "no bias",
            ["average to 1", "linear 128->128", "relu", "dropout 0.3", "linear 128->10"],
        ),
    ],
)
def test_vgg(name, groups, bias, head):
    channels = BUILTIN[name].input_shape[0]
    rows = traced(made(name), BUILTIN[name].input_shape)
    assert [described(module) for module, _, _ in rows] == vgg_layers(groups, channels, bias) + head


@pytest.mark.parametrize(
    ("name", "sizes"), [("vgg19", [16, 8, 4, 2, 1]), ("vgg16_bn", [112, 56, 28, 14, 7]), ("vgg8", [14, 7])]
)
def test_sizes_after_the_pools_of_a_vgg(name, sizes):
    rows = traced(made(name), BUILTIN[name].input_shape)
    assert [tuple(after[1:]) for module, _, after in rows if isinstance(module, nn.MaxPool2d)] == [
        (size, size) for size in sizes
    ]


def resnet_layers(blocks, strides, bias):
    """In order of execution: a block's shortcut runs first."""
    layers, channels = [], 64
    for count, stride, width in zip(blocks, strides, (64, 128, 256, 512), strict=True):
        for index in range(count):
            step = stride if index == 0 else 1
            if step != 1 or channels != width:
                layers += [f"conv1x1 {channels}->{width} /{step} pad 0 no bias", f"bn {width}"]
            layers += [f"conv3x3 {channels}->{width} /{step} pad 1 {bias}", f"bn {width}", "relu"]
            layers += [f"conv3x3 {width}->{width} /1 pad 1 {bias}", f"bn {width}", "relu"]
            channels = width
    return layers


def test_resnet34_halves_in_the_first_block_of_every_stage():
    stem = ["conv3x3 3->64 /1 pad 1 bias", "bn 64", "relu"]
    blocks = resnet_layers((3, 4, 6, 3), (2, 2, 2, 2), "bias")
    network = made("resnet34")
    rows = traced(network, (3, 32, 32))
    assert [described(module) for module, _, _ in rows] == [*stem, *blocks, "average to 1", "linear 512->10"]
    assert [described(module) for module in network.modules() if isinstance(module, nn.Conv2d)].count(
        "conv1x1 64->64 /2 pad 0 no bias"
    ) == 1
    sizes = [before[1] for module, before, _ in rows if isinstance(module, nn.Conv2d)]
    assert list(dict.fromkeys(sizes)) == [32, 16, 8, 4, 2]
    (pooled,) = [before for module, before, _ in rows if isinstance(module, nn.AdaptiveAvgPool2d)]
    assert tuple(pooled) == (512, 2, 2)


def test_resnet18_is_torchvisions():
    stem = ["conv7x7 3->64 /2 pad 3 no bias", "bn 64", "relu", "max 3 /2 pad 1"]
    blocks = resnet_layers((2, 2, 2, 2), (1, 2, 2, 2), "no bias")
    rows = traced(made("resnet18"), (3, 224, 224))
    assert [described(module) for module, _, _ in rows] == [*stem, *blocks, "average to 1", "linear 512->1000"]


def norm(name):
    return [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]


def test_resnet18_has_torchvisions_names():
    names = ["conv1.weight", *norm("bn1")]
    for stage in range(1, 5):
        for block in range(2):
            place = f"layer{stage}.{block}"
            for index in (1, 2):
                names += [f"{place}.conv{index}.weight", *norm(f"{place}.bn{index}")]
            if stage > 1 and block == 0:
                names += [f"{place}.downsample.0.weight", *norm(f"{place}.downsample.1")]
    names += ["fc.weight", "fc.bias"]
    assert list(made("resnet18").state_dict()) == names


def test_vgg16_bn_has_torchvisions_names():
    names, index = [], 0
    for entry in VGG16:
        if entry == POOLED:
            index += 1
        else:
            names += [f"features.{index}.weight", f"features.{index}.bias", *norm(f"features.{index + 1}")]
            index += 3
    names += [f"classifier.{index}.{part}" for index in (0, 3, 6) for part in ("weight", "bias")]
    assert list(made("vgg16_bn").state_dict()) == names


@pytest.mark.parametrize(
    ("name", "count"),
    [("vgg19", 20.30), ("resnet34", 21.29), ("vgg16_bn", 138.37), ("resnet18", 11.69), ("vgg8", 0.44)],
)
def test_parameters(name, count):
    """In millions. The table of the paper counts as we do where nothing is compressed."""
    assert round(sum(parameter.numel() for parameter in made(name).parameters()) / 1e6, 2) == count


@pytest.mark.parametrize(("name", "count"), [("vgg16_bn", 138_365_992), ("resnet18", 11_689_512)])
def test_parameters_as_torchvision_documents_them(name, count):
    assert sum(parameter.numel() for parameter in made(name).parameters()) == count


@pytest.mark.parametrize("name", BUILTIN)
@pytest.mark.parametrize(("classes", "channels", "width"), [(3, 1, 0.125), (100, 4, 0.5)])
def test_choices(name, classes, channels, width):
    network = made(name, num_classes=classes, in_channels=channels, width=width)
    rows = traced(network, (channels, *BUILTIN[name].input_shape[1:]))
    assert tuple(rows[-1][2]) == (classes,)
    convolutions = [module for module, _, _ in rows if isinstance(module, nn.Conv2d)]
    full = [module for module in made(name).modules() if isinstance(module, nn.Conv2d)]
    found = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions[0].in_channels == channels
    assert found == [max(8, round(width * module.out_channels / 8) * 8) for module in full]


@pytest.mark.parametrize("name", ["vgg19", "resnet34", "vgg8"])
def test_a_small_one_classifies(name):
    network = build(name, width=0.125)
    images = torch.randn(2, *BUILTIN[name].input_shape)
    assert network(images).shape == (2, 10)
    assert not network.training
    assert torch.equal(network(images), network(images))


def test_vgg8_takes_32_pixels_too():
    assert build("vgg8", width=0.125, in_channels=3)(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_seeds_decide_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([tensor.flatten().double() for tensor in build("vgg8", width=0.125).state_dict().values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_convolutions_start_with_the_variance_of_he():
    torch.manual_seed(0)
    network = build("vgg19", width=0.5)
    conv = network.features[-4]
    assert isinstance(conv, nn.Conv2d)
    fan_out = conv.out_channels * 9
    assert conv.weight.var().item() == pytest.approx(2 / fan_out, rel=0.05)
    assert not conv.bias.any()


@pytest.mark.parametrize(
    ("width", "expected"), [(1.0, (1, 60, 64)), (0.5, (8, 32, 32)), (0.001, (8, 8, 8)), (1.5, (8, 88, 96))]
)
def test_channels_are_multiples_of_eight_unless_nothing_is_scaled(width, expected):
    assert scaled(((1, 60, 64),), width) == (expected,)
