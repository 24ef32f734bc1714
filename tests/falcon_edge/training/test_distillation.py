"""What a student learns from its teacher, as terms of a loss of one's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.training.distillation import distillation, features, matching


@given(st.integers(1, 5), st.integers(2, 7), st.floats(0.5, 20), st.integers(0, 1000))
def test_it_is_the_divergence_of_softened_answers(batch, classes, temperature, seed):
    random = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(batch, classes, generator=random, dtype=torch.float64) for _ in range(2))
    p, q = ((answers / temperature).softmax(1) for answers in (teacher, student))
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean()
    assert float(distillation(student, teacher, temperature)) == pytest.approx(float(expected), abs=1e-9)


def test_of_maps_it_is_the_mean_over_places():
    student, teacher = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    rows = [answers.permute(0, 2, 3, 1).reshape(-1, 3) for answers in (student, teacher)]
    assert float(distillation(student, teacher)) == pytest.approx(float(distillation(*rows)), rel=1e-5)


def test_equal_answers_cost_nothing_and_teach_nothing():
    student = torch.randn(4, 5, requires_grad=True)
    loss = distillation(student, student.detach())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert float(student.grad.abs().max()) < 1e-6


def net():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))


def test_features_are_those_of_the_named_layers_and_hooks_go_with_the_block():
    module, x = net(), torch.randn(2, 1, 8, 8)
    with features(module, ["0", "2"]) as found:
        answer = module(x)
    assert torch.equal(found["2"], answer)
    assert torch.equal(found["0"], module[0](x))
    assert not any(layer._forward_hooks for layer in module.modules())


def test_features_can_be_learned_from():
    teacher, student, x = net(), net(), torch.randn(4, 1, 8, 8)
    with torch.no_grad(), features(teacher, ["0", "2"]) as wanted:
        teacher(x)
    before = after = None
    optimiser = torch.optim.SGD(student.parameters(), 0.1)
    for _ in range(50):
        with features(student, ["0", "2"]) as found:
            student(x)
        loss = matching(found, wanted)
        before = float(loss.detach()) if before is None else before
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        after = float(loss.detach())
    assert after < before / 2


def test_matching_does_not_depend_on_how_large_features_are():
    wanted, found = {"a": torch.randn(2, 3)}, {"a": torch.randn(2, 3)}
    scaled = ({name: 1000 * value for name, value in each.items()} for each in (found, wanted))
    assert float(matching(found, wanted)) == pytest.approx(float(matching(*scaled)), rel=1e-5)
    assert float(matching(found, wanted)) == pytest.approx(
        float(functional.mse_loss(found["a"], wanted["a"]) / wanted["a"].square().mean()), rel=1e-5
    )


def test_what_is_not_there_is_said():
    with pytest.raises(BadInput, match="5: the network has no layer of this name"), features(net(), ["5"]):
        pass
    with pytest.raises(BadInput, match="give those of the same layers"):
        matching({"a": torch.ones(1)}, {"b": torch.ones(1)})
    with pytest.raises(BadInput, match="of the student"):
        matching({"a": torch.ones(1)}, {"a": torch.ones(2)})
