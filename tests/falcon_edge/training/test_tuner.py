"""The Tuner: any loss, any batches, a teacher or none; the same seed gives the same bytes."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from falcon_edge.data import open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.training.loop import Descent
from falcon_edge.training.tuner import Tuner


def network(seed=0, outputs=3):
    torch.manual_seed(seed)
    head = [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(8, outputs)]
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), *head)


def tensors(stripes, name):
    split = open_dataset(stripes).splits[name]
    return torch.from_numpy(split.images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(split.labels)


def loader(stripes, name="train", **options):
    return DataLoader(TensorDataset(*tensors(stripes, name)), **{"batch_size": 32} | options)


def accuracy(module, stripes):
    x, y = tensors(stripes, "test")
    with torch.no_grad():
        return float((module.eval()(x).argmax(1) == y).float().mean())


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_it_learns_from_labels(stripes):
    module = network()
    history = Tuner(epochs=6).fit(module, loader(stripes, shuffle=True), functional.cross_entropy)
    assert accuracy(module, stripes) > 0.9
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3, 4, 5, 6]
    assert history.epochs[-1].loss < history.epochs[0].loss / 2
    assert history.best == 6  # the last, as nothing says which is the best
    assert not module.training


def test_it_learns_from_a_teacher_alone_without_labels(stripes):
    teacher = network()
    Tuner(epochs=6).fit(teacher, loader(stripes), functional.cross_entropy)
    teacher.train()
    before = state(teacher)
    inputs = [x for x, _ in loader(stripes)]
    student = network(5)
    Tuner(epochs=6).fit(student, inputs, teacher=teacher)
    assert accuracy(student, stripes) > 0.9
    assert teacher.training  # its mode is put back, and nothing of it changed
    assert same(state(teacher), before)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_loss_is_what_is_said(stripes, weight):
    """One step over one batch, beside the sum by hand."""
    (batch,) = [next(iter(loader(stripes, batch_size=240)))]
    student, teacher = network().eval(), network(1).eval()
    student[-2].p = 0.0
    with torch.no_grad():
        answers, wanted = copy.deepcopy(student).train()(batch[0]), teacher(batch[0])
    expected = (1 - weight) * functional.cross_entropy(answers, batch[1]) + weight * functional.mse_loss(
        answers, wanted
    )
    tuner = Tuner(epochs=1, distillation=weight)
    history = tuner.fit(student, [batch], functional.cross_entropy, teacher=teacher, distil=functional.mse_loss)
    assert history.epochs[0].loss == pytest.approx(float(expected), rel=1e-5)


def test_outputs_and_targets_are_of_any_form(stripes):
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.kind, self.light = network(outputs=8), nn.Linear(8, 3), nn.Linear(8, 1)

        def forward(self, x):
            seen = self.body(x)
            return {"kind": self.kind(seen), "light": self.light(seen)}

    def loss(outputs, targets):
        light = functional.mse_loss(outputs["light"].squeeze(1), targets["light"])
        return functional.cross_entropy(outputs["kind"], targets["kind"]) + light

    module, batches = TwoHeads(), [(x, {"kind": y, "light": x.mean((1, 2, 3))}) for x, y in loader(stripes)]
    history = Tuner(epochs=4).fit(module, batches, loss)
    assert history.epochs[-1].loss < history.epochs[0].loss / 2
    with pytest.raises(BadInput, match="the module's outputs are a dict, not logits: give distil to fit"):
        Tuner(epochs=1).fit(module, batches, loss, teacher=copy.deepcopy(module))


def test_seeds_decide_and_the_state_of_the_caller_does_not(stripes):
    def tuned(seed):
        module = network()
        Tuner(epochs=2, seed=seed).fit(module, loader(stripes, shuffle=True), functional.cross_entropy)
        return state(module)

    one = tuned(1)
    torch.manual_seed(99)
    assert same(tuned(1), one)
    assert not same(tuned(2), one)


def test_the_best_epoch_is_kept_or_what_it_began_with(stripes):
    module = network()
    Tuner(epochs=6).fit(module, loader(stripes), functional.cross_entropy)
    before = state(module)
    wrong = [(x, (y + 1) % 3) for x, y in loader(stripes)]
    history = Tuner(epochs=2).fit(module, wrong, functional.cross_entropy, validation=loader(stripes, "val"))
    assert history.best == 0
    assert same(state(module), before)
    assert history.start.validation_loss < min(epoch.validation_loss for epoch in history.epochs)


def test_a_score_of_the_users_says_which_is_the_best(stripes):
    seen = []

    def score(outputs, targets):
        seen.append(len(outputs))
        return 1.0 if len(seen) == 4 else 0.0  # of the second epoch, and the start

    history = Tuner(epochs=3).fit(
        network(), loader(stripes), functional.cross_entropy, validation=[tensors(stripes, "val")], score=score
    )
    assert seen == 4 * [60]
    assert history.best == 3
    assert [epoch.figure for epoch in (history.start, *history.epochs)] == [0.0, 0.0, 0.0, 1.0]


def test_batches_of_numpy_are_as_good(stripes):
    tuned = []
    for kind in (torch.as_tensor, np.asarray):
        batches = [tuple(map(kind, batch)) for batch in loader(stripes)]
        Tuner(epochs=1).fit(module := network(), batches, functional.cross_entropy, validation=batches)
        tuned.append(state(module))
    assert same(*tuned)


def test_a_loader_without_a_length_is_told_its_steps(stripes):
    class Stream(IterableDataset):
        def __iter__(self):
            while True:
                yield from zip(*tensors(stripes, "train"), strict=True)

    module = network()
    with pytest.raises(BadInput, match="the loader has no length; say how many steps an epoch has"):
        Tuner(epochs=2).fit(module, DataLoader(Stream(), batch_size=32), functional.cross_entropy)
    history = Tuner(epochs=2).fit(module, DataLoader(Stream(), batch_size=32), functional.cross_entropy, steps=5)
    assert len(history.epochs) == 2


def test_autocast_computes_in_bfloat16_and_keeps_float32(stripes):
    module, kinds = network(), set()
    module[0].register_forward_hook(lambda layer, given, made: kinds.add(made.dtype))
    Tuner(epochs=6, autocast=True).fit(
        module, loader(stripes), functional.cross_entropy, teacher=network(), validation=loader(stripes, "val")
    )
    assert kinds == {torch.bfloat16}
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}


@pytest.mark.parametrize("autocast", [False, True])
def test_the_autocast_of_the_caller_changes_nothing(stripes, autocast):
    def tuned():
        module = network()
        Tuner(epochs=2, autocast=autocast).fit(
            module, loader(stripes), functional.cross_entropy, validation=loader(stripes, "val")
        )
        return state(module)

    expected = tuned()
    with torch.autocast("cpu", torch.bfloat16):
        assert same(tuned(), expected)


def test_memory_formats_stay(stripes):
    module = network().to(memory_format=torch.channels_last)
    batches = [(x.expand(-1, 1, -1, -1).to(memory_format=torch.channels_last), y) for x, y in loader(stripes)]
    Tuner(epochs=1).fit(module, batches, functional.cross_entropy)
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_progress_says_what_came_of_each_epoch(stripes):
    said = []
    Tuner(epochs=2).fit(
        network(), loader(stripes), functional.cross_entropy, validation=loader(stripes, "val"),
        progress=lambda done, total, text: said.append((done, total, text)),
    )  # fmt: skip
    assert said[0] == (0, 16, "epoch 1/2")
    assert said[-1][:2] == (16, 16)
    assert said[-1][2].startswith("epoch 2/2: loss ")
    assert "validation loss" in said[-1][2]


def batch():
    return (torch.zeros(4, 1, 12, 12), torch.zeros(4, dtype=torch.int64))


def one_shot():
    yield batch()


CASES = {
    "nothing to learn from": (lambda: [batch()], {"loss": None}, "give a loss, or a teacher"),
    "nothing": (lambda: [], {}, "has no length|gives no batch"),
    "an empty stream": (lambda: iter([]), {"steps": 1}, r"epoch 1/2: the loader gives no batch"),
    "a generator": (one_shot, {"steps": 1}, r"epoch 2/2: the loader gives no batch \(a generator gives its own only"),
    "no loader": (lambda: 5, {"steps": 1}, "epoch 1/2: a int is no loader; give an iterable of batches"),
    "mappings": (lambda: [{"x": 1}], {}, r"epoch 1/2: batch 0 is a dict; it must be floats \(B, C, H, W\)"),
    "images alone": (lambda: [torch.zeros(1, 12, 12)], {}, r"batch 0 is float32 \(1, 12, 12\)"),
    "pixels": (lambda: [(torch.zeros(1, 1, 9, 9, dtype=torch.uint8), 1)], {}, "a tuple with uint8"),
    "no targets": (lambda: [batch()[0]], {}, "the loader gives no targets, which the loss needs"),
    "a loss of each": (
        lambda: [batch()],
        {"loss": lambda outputs, targets: functional.cross_entropy(outputs, targets, reduction="none")},
        r"the loss is \(4,\); it must be a single number, as a tensor",
    ),
    "a number": (lambda: [batch()], {"loss": lambda outputs, targets: 1.0}, "the loss is float; it must be"),
    "a loss without gradients": (
        lambda: [batch()],
        {"loss": lambda outputs, targets: functional.cross_entropy(outputs, targets).detach()},
        "the loss has no gradient: it is detached",
    ),
    "a teacher of other classes": (
        lambda: [batch()],
        {"teacher": network(outputs=1)},
        r"the student's logits are \(4, 3\), the teacher's \(4, 1\); both must have the same shape",
    ),
    "no steps": (lambda: [batch()], {"steps": 0}, "steps: 0; an epoch has at least 1"),
    "more steps than batches": (lambda: [batch()], {"steps": 40}, "steps: 40; an epoch has at least 1, and at most 1"),
    "scores of each image": (
        lambda: [batch()],
        {"validation": [batch()], "score": lambda outputs, targets: outputs.argmax(1) == targets},
        "the score is a Tensor that is no single number",
    ),
    "a score of nothing": (lambda: [batch()], {"score": lambda outputs, targets: 1.0}, "a score is of validation"),
    "empty validation": (lambda: [batch()], {"validation": []}, "validation: the loader gives no batch"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_of_no_use_is_said(case):
    batches, options, says = CASES[case]
    options = {"loss": functional.cross_entropy} | options
    with pytest.raises(BadInput, match=says) as caught:
        Tuner(epochs=2).fit(network(), batches(), **options)
    assert "\n" not in str(caught.value)


def test_what_diverges_is_said_and_leaves_the_best_weights(stripes):
    module = network()
    before = state(module)
    tuner = Tuner(epochs=2, learning_rate=1e30)
    with pytest.raises(BadInput, match=r"training diverged in epoch [12]: lower the learning rate"):
        tuner.fit(module, loader(stripes), functional.cross_entropy)
    assert same(state(module), before)


def spoilt(values, place):
    values = values.clone()
    values[place] = torch.inf
    return values


def squared(outputs, targets):
    return ((outputs - targets) ** 2).mean()


@pytest.mark.parametrize("where", ["training", "validation"])
def test_numbers_that_are_none_are_not_called_divergence(where):
    x, y = torch.randn(4, 1, 12, 12), torch.randn(4, 3)
    module = network()
    before = state(module)

    def said(*strange):
        batches = [(x, y), strange] if where == "training" else [(x, y)]
        validation = [(x, y), strange] if where == "validation" else None
        with pytest.raises(BadInput) as caught:
            Tuner(epochs=1, distillation=0.5).fit(module, batches, squared, validation=validation)
        assert same(state(module), before)
        return str(caught.value)

    place = {"training": "epoch 1/1", "validation": "validation"}[where]
    assert said(spoilt(x, 2), y) == f"{place}: image 2 (from 0) of batch 1 holds NaN or infinity"
    told = said(x, spoilt(y, 3))
    assert told.startswith({"training": "epoch 1/1, batch 1: the", "validation": "batch 1 of validation: the"}[where])
    assert told.endswith("not finite, and the targets of image 3 (from 0) hold NaN or infinity")


def test_a_teacher_that_answers_with_none_is_said():
    teacher = network()
    with torch.no_grad():
        teacher[-1].bias[0] = torch.nan
    with pytest.raises(BadInput, match=r"and the teacher's answers to image 0 \(from 0\) hold NaN"):
        Tuner(epochs=1).fit(network(), [batch()], functional.cross_entropy, teacher=teacher)


def test_gradients_that_are_not_finite_reach_no_weights():
    """In the very last step, too, after which no loss would tell."""
    module = network()
    before = state(module)
    with pytest.raises(BadInput, match="training diverged in epoch 1"):
        Tuner(epochs=1).fit(module, [batch()], lambda outputs, targets: (outputs * 0).sum().sqrt())
    assert same(state(module), before)


def test_frozen_modules_are_said(stripes):
    with pytest.raises(BadInput, match="all its parameters are frozen"):
        Tuner(epochs=1).fit(network().requires_grad_(False), loader(stripes), functional.cross_entropy)


@pytest.mark.parametrize("wrong", [{"epochs": -1}, {"learning_rate": 0.0}, {"warm_up": 1.0}, {"distillation": 2.0}])
def test_descents_that_are_bad_input(wrong):
    with pytest.raises(BadInput):
        Descent(**{"epochs": 1} | wrong)
    with pytest.raises(BadInput):
        Tuner(**{"epochs": 1} | wrong)
