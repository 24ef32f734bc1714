"""Moments of layers matched, where no batch normalisation does it."""

import copy

import pytest
import torch
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.moments import match_moments
from tests.support.forms import falcon


def network(bias=True):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, bias=bias),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, bias=bias),
        nn.ReLU(),
        nn.Conv2d(6, 4, 3),
    )


def loader(count=3):
    random = torch.Generator().manual_seed(0)
    return [torch.randn(4, 2, 12, 12, generator=random) for _ in range(count)]


def moments(module, name, batches):
    given = []
    hook = module.get_submodule(name).register_forward_hook(lambda _layer, _inputs, found: given.append(found))
    with torch.no_grad():
        for batch in batches:
            module(batch)
    hook.remove()
    rows = torch.cat(given).transpose(0, 1).flatten(1)
    return rows.mean(1), rows.std(1, unbiased=False)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rank", [1, 2])
def test_every_layer_gives_what_its_original_gives_on_average(rank, bias):
    teacher = network(bias)
    student = surgery.apply(teacher, falcon(**{"0": rank, "2": rank, "4": rank}))
    before = copy.deepcopy(teacher.state_dict())
    match_moments(student, teacher, ["0", "2", "4"], loader)
    for name in ("0", "2", "4"):
        for found, wanted in zip(*(moments(module, name, loader()) for module in (student, teacher)), strict=True):
            assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_it_brings_the_answers_nearer():
    teacher, test = network(), torch.randn(16, 2, 12, 12)
    teacher[0].bias.data += 1.0
    plain = surgery.apply(teacher, falcon(**{"0": 1, "2": 1}))
    matched = copy.deepcopy(plain)
    match_moments(matched, teacher, ["0", "2"], lambda: ((batch, None) for batch in loader(8)))
    with torch.no_grad():
        wanted = teacher(test).mean((0, 2, 3))
        errors = [float((module(test).mean((0, 2, 3)) - wanted).square().sum()) for module in (plain, matched)]
    assert errors[1] < errors[0] / 4


def test_a_channel_that_never_varies_stays_finite():
    teacher = network()
    with torch.no_grad():
        teacher[2].weight[1] = 0
    student = surgery.apply(teacher, falcon(**{"2": 1}))
    match_moments(student, teacher, ["2"], loader)
    assert all(torch.isfinite(value).all() for value in student.state_dict().values())
    assert torch.allclose(moments(student, "2", loader())[0], moments(teacher, "2", loader())[0], atol=1e-4)


def test_without_images_nothing_changes_and_it_is_said():
    teacher = network()
    student = surgery.apply(teacher, falcon(**{"0": 1}))
    before = copy.deepcopy(student.state_dict())
    with pytest.raises(BadInput, match="the loader gives no batch"):
        match_moments(student, teacher, ["0"], list)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_modes_are_put_back():
    teacher = network().train()
    student = surgery.apply(teacher, falcon(**{"0": 1})).train()
    match_moments(student, teacher, ["0"], loader)
    assert all(module.training for module in (*student.modules(), *teacher.modules()))
