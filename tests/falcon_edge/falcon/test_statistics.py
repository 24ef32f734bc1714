"""What data teaches: patch statistics against unfold, mean correction, BN statistics."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.statistics import patch_statistics, reestimate_batchnorm, sequential_statistics
from tests.support.forms import falcon

GEOMETRIES = [
    nn.Conv2d(4, 6, 3, padding=1),
    nn.Conv2d(4, 6, 3, stride=2, padding=1, padding_mode="reflect"),
    nn.Conv2d(4, 6, (3, 2), dilation=2, padding=(2, 1), padding_mode="circular"),
    nn.Conv2d(4, 6, 3, padding="same", padding_mode="replicate"),
    nn.Conv2d(4, 6, 3, padding=1, groups=2),
]


@pytest.mark.parametrize("conv", GEOMETRIES, ids=range(len(GEOMETRIES)))
def test_statistics_are_those_of_the_patches(conv):
    batches = [torch.randn(3, 4, 9, 9).relu() for _ in range(2)]
    found = patch_statistics(nn.Sequential(conv), ["0"], batches)["0"]
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    x = functional.pad(torch.cat(batches), conv._reversed_padding_repeated_twice, mode=mode)
    patches = functional.unfold(x, conv.kernel_size, conv.dilation, 0, conv.stride).double()
    groups, channels = conv.groups, conv.weight.shape[1]
    patches = patches.transpose(1, 2).reshape(-1, groups, channels, conv.weight[0, 0].numel())
    centred = patches - patches.mean(0)
    assert torch.allclose(found.mean, patches.mean(0), atol=1e-6)
    expected = torch.einsum("pgmt,pgnt->gmn", centred, centred) / len(patches)
    assert torch.allclose(found.channels, expected, atol=1e-4)
    expected = torch.einsum("pgmt,pgmu->gtu", centred, centred) / len(patches)
    assert torch.allclose(found.taps, expected, atol=1e-4)


def images(count, generator):
    """Smooth, correlated, not negative: like what ReLU hands on."""
    coarse = torch.randn(count, 6, 5, 5, generator=generator)
    mixed = torch.einsum("oc,bchw->bohw", torch.randn(12, 6, generator=generator), coarse)
    return functional.interpolate(mixed, size=(16, 16), mode="bilinear").add(0.5).relu()


@pytest.mark.parametrize("groups", [1, 2])
def test_whitened_fit_is_nearer_on_unseen_data(groups):
    generator = torch.Generator().manual_seed(1)
    conv = nn.Conv2d(12, 16, 3, padding=1, groups=groups)
    network = nn.Sequential(conv)
    seen, unseen = images(64, generator), images(32, generator)
    statistics = patch_statistics(network, ["0"], [seen])
    with torch.no_grad():
        expected = conv(unseen)

        def error(**options):
            return float((surgery.apply(network, falcon(**{"0": 1}), **options)(unseen) - expected).square().sum())

        assert error(statistics=statistics) < 0.8 * error()


def test_mean_of_the_output_is_exact_on_the_calibration_data():
    generator = torch.Generator().manual_seed(2)
    network = nn.Sequential(nn.Conv2d(12, 8, 3, padding=1, bias=False))
    seen = images(16, generator)
    fitted = surgery.apply(network, falcon(**{"0": 1}), statistics=patch_statistics(network, ["0"], [seen]))
    with torch.no_grad():
        difference = (fitted(seen) - network(seen)).mean((0, 2, 3))
    assert difference.abs().max() < 1e-5


def test_signals_do_not_fade_where_layers_are_fitted_one_after_the_other():
    torch.manual_seed(3)
    layers = [layer for _ in range(8) for layer in (nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())]
    network = nn.Sequential(*layers).eval()
    seen = images(64, torch.Generator().manual_seed(3))
    reestimate_batchnorm(network, [seen])
    replaced = falcon(**{str(3 * place): 1 for place in range(8)})
    found = sequential_statistics(network, replaced, lambda: seen.split(16))
    original = patch_statistics(network, replaced, seen.split(16))
    variances = [float(found[name].channels.diagonal(dim1=1, dim2=2).mean()) for name in replaced]
    wanted = [float(original[name].channels.diagonal(dim1=1, dim2=2).mean()) for name in replaced]
    assert all(0.5 < a / b < 2 for a, b in zip(variances, wanted, strict=True)), (variances, wanted)


def test_batchnorm_takes_the_statistics_of_the_data_and_nothing_else_changes():
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, momentum=0.3), nn.Dropout(0.5)).eval()
    network[2].train()
    weights = network[0].weight.clone()
    batches = [torch.randn(8, 3, 10, 10) * 3 + 1 for _ in range(4)]
    assert reestimate_batchnorm(network, batches) == 1
    with torch.no_grad():
        outputs = network[0](torch.cat(batches))
    assert torch.allclose(network[1].running_mean, outputs.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(network[1].running_var, outputs.var((0, 2, 3)), rtol=0.02)
    assert network[1].momentum == 0.3
    assert not network[1].training
    assert network[2].training
    assert torch.equal(network[0].weight, weights)


def test_without_batches_nothing_changes_and_it_is_said():
    network = nn.Sequential(nn.BatchNorm2d(5))
    network[0].running_mean.fill_(7)
    with pytest.raises(BadInput, match="the loader gives no batch"):
        reestimate_batchnorm(network, [])
    assert (network[0].running_mean == 7).all()


def test_values_that_are_not_finite_have_no_statistics():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3))
    network[0].weight.data.fill_(1e38)
    with pytest.raises(BadInput, match="1: reads values that are not finite"):
        patch_statistics(network, ["1"], [torch.randn(2, 3, 8, 8)])
