"""A module stays on the device that it is on: what we make goes there, and what we keep is brought back."""

import numpy as np
import pytest
import torch
from elsewhere import DEVICE, Elsewhere, There
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

import falcon_edge as fe
from falcon_edge.falcon.forms import FORMS
from falcon_edge.steps import graphs


def network(norm=True):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12) if norm else nn.Identity(), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.Conv2d(12, 12, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(48, 3)
    )


def loader(stripes, split="train"):
    arrays = np.load(stripes)
    x = torch.from_numpy(arrays[f"x_{split}"]).float().unsqueeze(1) / 255
    y = torch.from_numpy(arrays[f"y_{split}"])
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=48)


@pytest.fixture
def elsewhere(monkeypatch):
    """The device is there, but not while a graph is traced: torch traces nothing within a mode."""
    write = graphs.write_graph

    def without(*words):
        with _disable_current_modes():
            write(*words)

    monkeypatch.setattr(graphs, "write_graph", without)
    with Elsewhere():
        yield


def are_there(module):
    return all(isinstance(each, There) for each in (*module.parameters(), *module.buffers()))


def test_the_device_is_one(elsewhere):
    """What is held here is worth nothing unless it refuses what an accelerator refuses."""
    module = network().to(DEVICE)
    assert are_there(module)
    assert module[0].weight.device == DEVICE
    with pytest.raises(RuntimeError, match="same device"):
        module(torch.zeros(1, 1, 12, 12))
    found = module(torch.zeros(1, 1, 12, 12, device=DEVICE))
    with pytest.raises(RuntimeError, match="numpy"):
        found.detach().numpy()
    assert torch.equal(found.cpu(), network()(torch.zeros(1, 1, 12, 12)))


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("init", ["svd", "whitened"])
def test_compressed_there_it_is_what_it_is_here(elsewhere, stripes, tmp_path, init, norm):
    data = fe.from_batches(loader(stripes), split="train")
    saved = []
    for place in ("cpu", DEVICE):
        net = fe.from_module(network(norm).to(place), torch.zeros(1, 1, 12, 12))
        small = fe.compress(net, data, rank=1, init=init)
        for name, made in (("standard", net), ("small", small)):
            saved.append(fe.save(made, tmp_path / f"{name}-{torch.device(place).type}").lineage)
            assert are_there(made.module) == (place == DEVICE)
    assert [each.identity for each in saved[:2]] == [each.identity for each in saved[2:]]
    assert saved[3].parent.identity == saved[2].identity


@pytest.mark.parametrize("form", ["narrow", *(name for name in FORMS if name != "falcon")])
@pytest.mark.parametrize("norm", [True, False])
def test_every_form_is_there_what_it_is_here(elsewhere, stripes, form, norm):
    data = fe.from_batches(loader(stripes), split="train")
    states = []
    for place in ("cpu", DEVICE):
        net = fe.from_module(network(norm).to(place), torch.zeros(1, 1, 12, 12))
        small = fe.compress(net, data, form=form, target_macs=0.6)
        assert are_there(small.module) == (place == DEVICE)
        states.append({name: value.cpu() for name, value in small.module.state_dict().items()})
    assert sum(value.numel() for value in states[0].values()) < sum(v.numel() for v in net.module.state_dict().values())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_tuned_there_it_is_what_it_is_here(elsewhere, stripes):
    states = []
    for place in ("cpu", DEVICE):
        net = fe.from_module(network().to(place), torch.zeros(1, 1, 12, 12))
        small = fe.compress(net, fe.from_batches(loader(stripes), split="train"), rank=1)
        fe.Tuner(epochs=2).fit(
            small.module, loader(stripes), nn.functional.cross_entropy, teacher=net.module,
            validation=loader(stripes, "val"),
        )  # fmt: skip
        fe.reestimate_batchnorm(small.module, loader(stripes))
        with fe.features(small.module, ["3"]) as found, torch.no_grad():
            small.module(next(iter(loader(stripes)))[0].to(place))
        assert found["3"].device == torch.device(place)
        states.append({name: value.cpu() for name, value in small.module.state_dict().items()})
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_quality_is_measured_there(elsewhere, stripes):
    test = fe.from_batches(loader(stripes, "test"), class_names=("rows", "columns", "noise"))
    net = fe.from_module(network().to(DEVICE), torch.zeros(1, 1, 12, 12), labels=test.class_names)
    here = fe.from_module(network(), torch.zeros(1, 1, 12, 12), labels=test.class_names)
    assert fe.pack(net, test).quality == fe.pack(here, test).quality
    assert are_there(net.module)


def test_our_training_goes_there(elsewhere, stripes):
    from falcon_edge.training.recipe import Recipe

    data = fe.open_dataset(stripes)
    states = []
    for place in ("cpu", DEVICE):
        net = fe.from_module(network().to(place), torch.zeros(1, 1, 12, 12), labels=data.class_names)
        made = fe.compress(net, data, rank=1, recipe=Recipe(epochs=1, learning_rate=0.05, batch_size=32))
        states.append({name: value.cpu() for name, value in made.module.state_dict().items()})
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


# Memory formats, autocast


def test_channels_last_is_the_same(stripes, tmp_path):
    lineages = []
    for kind in (torch.contiguous_format, torch.channels_last):
        module = network().to(memory_format=kind)
        batches = [x.to(memory_format=kind) for x, _ in loader(stripes)]
        net = fe.from_module(module, batches[0])
        small = fe.compress(net, fe.from_batches(batches, split="train"), rank=1)
        fe.reestimate_batchnorm(small.module, batches)
        assert module[3].weight.is_contiguous(memory_format=kind)
        for made in (net, small):
            lineages.append(fe.save(made, tmp_path / f"{len(lineages)}").lineage)
    assert lineages[0].identity == lineages[2].identity
    assert lineages[1].parent == lineages[3].parent


@pytest.mark.parametrize("init", ["svd", "whitened"])
def test_within_autocast_it_is_what_it_is_without(stripes, tmp_path, init):
    data, plans = fe.from_batches(loader(stripes), split="train"), []
    for name, enabled in (("without", False), ("within", True)):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            net = fe.from_module(network(), torch.zeros(1, 1, 12, 12))
            small = fe.compress(net, data, rank=1, init=init)
            fe.save(fe.tuned(small, data), tmp_path / name)
            plans.append((small.plan, fe.save(net, tmp_path / f"{name}-standard").lineage.identity))
    assert plans[0] == plans[1]
    held = [(tmp_path / f"{name}.falcon" / "weights.safetensors").read_bytes() for name in ("without", "within")]
    assert held[0] == held[1]


def test_losses_of_a_teacher_are_of_float32_within_autocast():
    logits, wanted = torch.randn(64, 10), torch.randn(64, 10)
    exact = fe.distillation(logits.bfloat16().float(), wanted)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fe.distillation(logits.bfloat16(), wanted), exact)
        found = fe.matching({"a": logits.bfloat16()}, {"a": wanted})
    assert torch.equal(found, fe.matching({"a": logits.bfloat16().float()}, {"a": wanted}))
