"""Training: what it learns, which epoch it keeps, and that a killed run ends in the same bytes."""

import copy
import inspect
import math
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from falcon_edge.data import Split, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec
from falcon_edge.training.aims import Drawn, Labels, accuracy
from falcon_edge.training.fit import fit
from falcon_edge.training.images import Images
from falcon_edge.training.loop import LARGEST_GRADIENT
from falcon_edge.training.recipe import Recipe

SPEC = InputSpec(shape=(1, 12, 12), mean=(0.3,), std=(0.3,))
RECIPE = Recipe(epochs=3, learning_rate=0.05, batch_size=32, flip=False)


def network(seed=0):
    torch.manual_seed(seed)
    conv = nn.Conv2d(1, 8, 3, padding=1, bias=False)
    head = [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(8, 3)]
    return nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU(), *head)


@pytest.fixture
def splits(stripes):
    dataset = open_dataset(stripes)
    return {name: Images(split, SPEC) for name, split in dataset.splits.items()}


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def trained(splits, recipe=RECIPE, model=None, **options):
    model = model or network()
    history = fit(model, splits["train"], splits["val"], recipe, **options)
    return model, history


# The learning rate


@given(st.integers(1, 500), st.floats(0, 0.9), st.floats(1e-4, 10))
def test_the_rate_rises_in_a_line_and_falls_as_a_cosine(steps, warm_up, peak):
    recipe = Recipe(epochs=1, learning_rate=peak, warm_up=warm_up)
    rates = [recipe.pace(step, steps).rate for step in range(steps)]
    rising = warm_up * steps
    for step, rate in enumerate(rates):
        if step < rising:
            assert rate == pytest.approx(peak * (step + 1) / (rising + 1))
        else:
            share = (step - rising) / (steps - rising)
            assert rate == pytest.approx(peak * (1 + math.cos(math.pi * share)) / 2)
    assert all(0 < rate <= peak for rate in rates)
    turn = math.ceil(rising)
    assert all(one <= other for one, other in pairwise(rates[:turn]))
    assert all(one >= other for one, other in pairwise(rates[turn:]))


def test_the_rate_reaches_its_peak_and_nearly_zero():
    rates = [RECIPE.pace(step, 1000).rate for step in range(1000)]
    assert max(rates) == pytest.approx(RECIPE.learning_rate)
    assert rates[-1] < 1e-4 * RECIPE.learning_rate
    assert Recipe(epochs=1, learning_rate=0.5, warm_up=0.0).pace(0, 10).rate == 0.5


@pytest.mark.parametrize("steps", [2, 3, 11, 333])
def test_one_cycle_is_that_of_torch(steps):
    recipe = Recipe(epochs=1, learning_rate=0.3, schedule="one-cycle")
    optimiser = torch.optim.SGD(network().parameters(), 0.3, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.3, total_steps=steps)
    for step in range(steps):
        (group,) = optimiser.param_groups
        assert recipe.pace(step, steps) == pytest.approx((group["lr"], group["momentum"]))
        optimiser.step()
        scheduler.step()


@given(st.integers(1, 400), st.floats(0, 0.5))
def test_steps_take_a_tenth_at_every_milestone(steps, warm_up):
    recipe = Recipe(epochs=1, learning_rate=0.1, warm_up=warm_up, schedule="steps", milestones=(0.6, 0.8))
    for step in range(math.ceil(warm_up * steps), steps):
        passed = (step >= 0.6 * steps) + (step >= 0.8 * steps)
        assert recipe.pace(step, steps) == pytest.approx((0.1 * 0.1**passed, 0.9))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": -1},
        {"schedule": "linear"},
        {"milestones": (0.5, 1.0)},
        {"ema": 1.0},
        {"ema": -0.1},
        {"cutout": -1},
        {"mixup": -0.1},
        {"mixup": math.inf},
        {"label_smoothing": 1.0},
        {"label_smoothing": math.nan},
        {"batch_size": 1},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"learning_rate": math.inf},
        {"distillation": 1.1},
        {"distillation": math.nan},
        {"temperature": 0.0},
        {"temperature": math.inf},
        {"warm_up": 1.0},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"weight_decay": -1e-9},
        {"weight_decay": math.nan},
        {"crop_padding": -1},
        {"seed": -1},
        {"seed": 2**32},
    ],
)
def test_recipes_that_are_bad_input(wrong):
    with pytest.raises(BadInput):
        Recipe(**{"epochs": 1} | wrong)


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_every_seed_that_is_allowed_trains(splits, seed):
    assert len(trained(splits, replace(RECIPE, epochs=1, seed=seed))[1].epochs) == 1


# What is learned, and what is kept


def test_accuracy_rises(splits):
    untrained = accuracy(network(), splits["test"])
    model, history = trained(splits, replace(RECIPE, epochs=6))
    assert untrained < 0.5
    assert accuracy(model, splits["test"]) > 0.9
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3, 4, 5, 6]
    assert history.epochs[-1].loss < history.epochs[0].loss / 2


def test_accuracy_is_the_share_of_right_first_classes(splits):
    model = network().eval()
    with torch.no_grad():
        found = model(splits["test"].inputs(splits["test"].pixels(np.arange(90)))).argmax(1)
    expected = float((found == splits["test"].labels).float().mean())
    model.train()
    assert accuracy(model, splits["test"], batch_size=7) == pytest.approx(expected)
    assert not model.training


def every_epoch(splits, recipe, model):
    """Train, and look at the network at the end of every epoch from outside."""
    seen = []

    def look(done, total, text):
        if "validation top-1" in text:
            shown = copy.deepcopy(model).eval()
            seen.append((accuracy(shown, splits["val"]), state(model)))

    return seen, *trained(splits, recipe, model, progress=look)


def test_the_earliest_of_the_best_validation_epochs_is_kept(splits):
    """Two classes are exchanged in the validation images, and of one of them there are none: there is little to gain.

    It begins with an answer that is never right.
    """
    model = network()
    model[-1].bias.data[1] += 5
    exchanged = turned(splits["val"])
    validation = Images(exchanged.split.subset(np.flatnonzero(exchanged.labels != 1)), SPEC)
    seen, model, history = every_epoch(splits | {"val": validation}, replace(RECIPE, epochs=6), model)
    figures = [history.start.figure, *(figure for figure, _ in seen)]
    assert [epoch.figure for epoch in (history.start, *history.epochs)] == figures
    assert history.best == figures.index(max(figures))
    assert 0 < history.best < 6
    assert same(state(model), seen[history.best - 1][1])
    assert not same(state(model), seen[-1][1])


def test_an_exponential_mean_of_the_weights_is_what_is_judged_and_kept(splits):
    """Beside the mean by hand, of weights and statistics after every step."""
    decay, recipe = 0.9, replace(RECIPE, epochs=2)
    plain, means = network(), []
    original = torch.optim.SGD.step

    def step(optimiser, *options):
        found = original(optimiser, *options)
        now = state(plain)
        means.append(now if not means else {name: decay * means[-1][name] + (1 - decay) * now[name] for name in now})
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", step)
        trained(splits, recipe, plain)
    averaged, history = trained(splits, replace(recipe, ema=decay))
    kept = means[history.best * (len(means) // 2) - 1]
    for name, values in averaged.state_dict().items():
        if values.is_floating_point():
            assert torch.allclose(values, kept[name], atol=1e-6), name
    assert history.figure == accuracy(averaged, splits["val"])


def test_labels_that_are_smoothed_and_images_that_are_mixed_give_the_loss_of_their_papers(splits):
    images, classes = splits["train"], 3
    logits = torch.randn(32, classes, generator=torch.Generator().manual_seed(0))
    first, second = torch.arange(32), torch.arange(31, -1, -1)
    aim = Labels(images.labels, classes, None, temperature=1.0, weight=0.0, smoothing=0.2)
    none = torch.zeros(32, dtype=torch.bool)
    found = aim.loss(lambda _: logits, logits, Drawn(first, none, second, 0.7))
    target = sum(
        share * (0.8 * nn.functional.one_hot(images.labels[which], classes) + 0.2 / classes)
        for share, which in ((0.7, first), (0.3, second))
    )
    assert found.item() == pytest.approx(-(target * logits.log_softmax(1)).sum(1).mean().item(), rel=1e-5)


def test_mixed_images_are_pairs_of_training_images(splits):
    recipe = replace(RECIPE, epochs=1, mixup=0.4)
    images, seen = splits["train"], []

    class Watched(Labels):
        def loss(self, model, inputs, drawn):
            one, other = (images.inputs(images.pixels(which.numpy())) for which in (drawn.images, drawn.others))
            seen.append((drawn.share, float((drawn.share * one + (1 - drawn.share) * other - inputs).abs().max())))
            return super().loss(model, inputs, drawn)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("falcon_edge.training.fit.Labels", Watched)
        trained(splits, recipe)
    assert len(seen) == len(images) // 32
    assert max(far for _, far in seen) < 1e-5
    assert all(0 <= share <= 1 for share, _ in seen)
    assert len({share for share, _ in seen}) > 1


def test_inputs_that_are_prepared_are_mirrored_as_their_pixels_are(splits):
    """Left and right, whatever the order of their axes."""
    prepared = {
        name: Images(Split(images.inputs(images.pixels(np.arange(len(images)))).numpy(), images.split.labels), SPEC)
        for name, images in splits.items()
    }
    recipe = replace(RECIPE, epochs=2, flip=True, batch_size=16)
    assert same(state(trained(splits, recipe)[0]), state(trained(prepared, recipe)[0]))


@pytest.mark.parametrize(
    "way",
    [
        {"ema": 0.9},
        {"mixup": 0.2},
        {"cutout": 4, "crop_padding": 1},
        {"label_smoothing": 0.1},
        {"schedule": "one-cycle"},
        {"schedule": "steps", "milestones": (0.5,)},
        {"autocast": True},
    ],
    ids=lambda way: next(iter(way)),
)
def test_every_way_learns(splits, way):
    model, history = trained(splits, replace(RECIPE, epochs=8, **way))
    assert accuracy(model, splits["test"]) > 0.8
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_ties_go_to_the_earlier_epoch(splits):
    one_image = Images(splits["val"].split.subset(np.array([2])), SPEC)
    _, history = trained(splits | {"val": one_image}, replace(RECIPE, epochs=5))
    figures = [epoch.figure for epoch in (history.start, *history.epochs)]
    assert len(set(figures)) < 6
    assert history.best == figures.index(max(figures))


def turned(images):
    """The same images, two of three classes exchanged."""
    labels = images.labels.numpy()
    return Images(Split(images.split.images, np.where(labels == 2, 2, 1 - labels)), SPEC)


@pytest.mark.parametrize("find_rate", [False, True])
def test_the_weights_it_began_with_are_a_candidate(splits, find_rate):
    """A network that was trained, and labels that spoil it."""
    model, _ = trained(splits, replace(RECIPE, epochs=6))
    before, figure = state(model), accuracy(model, splits["val"])
    wrong = splits | {"train": turned(splits["train"])}
    _, history = trained(wrong, replace(RECIPE, find_rate=find_rate), model)
    assert (history.best, history.figure) == (0, figure)
    assert history.start.figure == figure > max(epoch.figure for epoch in history.epochs)
    assert same(state(model), before)
    assert not model.training


def test_it_ends_in_eval_mode_and_plain_memory_layout(splits):
    teacher = network(1)
    model, _ = trained(splits, teacher=teacher)
    assert not any(module.training for module in (*model.modules(), *teacher.modules()))
    assert all(parameter.is_contiguous() for parameter in (*model.parameters(), *teacher.parameters()))


def test_no_epochs_change_nothing(splits):
    before = state(network())
    model, history = trained(splits, replace(RECIPE, epochs=0))
    assert same(state(model), before)
    assert (history.best, history.epochs) == (0, [])
    assert not model.training


def test_seeds_decide(splits):
    recipe = replace(RECIPE, flip=True, crop_padding=1)
    one, again, other = (state(trained(splits, replace(recipe, seed=seed))[0]) for seed in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other)


def test_random_state_of_the_caller_does_not_matter(splits):
    one = state(trained(splits)[0])
    torch.manual_seed(99)
    np.random.seed(99)
    assert same(state(trained(splits, model=network())[0]), one)


def test_frozen_parameters_stay(splits):
    model = network()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    trained(splits, model=model)
    assert torch.equal(model[0].weight, before)


def test_nothing_to_train_is_one_line(splits):
    model = network().requires_grad_(False)
    with pytest.raises(BadInput, match="nothing of this network can be trained: all its parameters are frozen"):
        trained(splits, model=model)


def test_fewer_images_than_a_batch(splits):
    few = Images(splits["train"].split.subset(np.arange(9)), SPEC)
    _, history = trained(splits | {"train": few})
    assert len(history.epochs) == 3


def test_progress_says_what_came_of_each_epoch(splits):
    said = []
    trained(splits, progress=lambda done, total, text: said.append((done, total, text)))
    assert said[0][:2] == (0, 21)
    assert said[-1][:2] == (21, 21)
    assert [text for _, _, text in said if "loss" in text][-1].startswith("epoch 3/3: loss ")
    assert all(0 <= done <= total for done, total, _ in said)


# Distillation


def by_hand(logits, target, labels, temperature, weight):
    """(1 - w) CE + w T^2 KL(teacher || student), number by number."""
    total = 0.0
    for row, goal, label in zip(logits.tolist(), target.tolist(), labels.tolist(), strict=True):
        plain = [math.exp(value) for value in row]
        soft = [math.exp(value / temperature) for value in row]
        wanted = [math.exp(value / temperature) for value in goal]
        divergence = sum(
            p / sum(wanted) * (math.log(p / sum(wanted)) - math.log(q / sum(soft)))
            for p, q in zip(wanted, soft, strict=True)
        )
        total += (1 - weight) * -math.log(plain[label] / sum(plain)) + weight * temperature**2 * divergence
    return total / len(logits)


def first_loss(splits, teacher, **choices):
    """The loss of one step over all training images, and the logits (student's, teacher's) and labels it is of."""
    student = network()
    student[-2].p = 0.0
    inputs, labels = next(splits["train"].batches(240))
    with torch.no_grad():
        logits = copy.deepcopy(student).train()(inputs)
        target = logits if teacher is None else teacher.eval()(inputs)
    recipe = replace(RECIPE, epochs=1, batch_size=240, **choices)
    _, history = trained(splits, recipe, student, teacher=teacher)
    return history.epochs[0].loss, (logits, target, labels)


@pytest.mark.parametrize(("temperature", "weight"), [(4.0, 0.9), (1.0, 0.5), (2.0, 1.0), (3.0, 0.0)])
def test_the_loss_is_that_of_hinton(splits, temperature, weight):
    found, logits = first_loss(splits, network(1), temperature=temperature, distillation=weight)
    assert found == pytest.approx(by_hand(*logits, temperature, weight), rel=1e-5)


def test_without_a_teacher_the_loss_is_cross_entropy(splits):
    found, logits = first_loss(splits, None, temperature=2.0, distillation=0.9)
    assert found == pytest.approx(by_hand(*logits, 2.0, 0.0), rel=1e-5)


class Asked(nn.Module):
    """A teacher that counts the images it is asked about in training."""

    def __init__(self):
        super().__init__()
        self.network, self.images = network(1), 0

    def forward(self, x):
        self.images += len(x)
        return self.network(x)


@pytest.mark.parametrize("flip", [False, True])
def test_a_teacher_is_asked_once_for_what_it_would_answer_in_every_step(splits, monkeypatch, flip):
    recipe = replace(RECIPE, epochs=4, flip=flip)
    asked, again = Asked(), Asked()
    known, _ = trained(splits, recipe, teacher=asked)
    monkeypatch.setattr("falcon_edge.training.aims.MOST_ANSWERS", 0)
    every_step, _ = trained(splits, recipe, teacher=again)
    assert asked.images == (2 if flip else 1) * len(splits["train"])
    assert again.images == 4 * (len(splits["train"]) // 32) * 32
    found, wanted = state(known), state(every_step)
    assert all(torch.allclose(found[name], wanted[name], atol=1e-6) for name in wanted)


@pytest.mark.parametrize("change", [{"epochs": 2, "flip": True}, {"crop_padding": 1}])
def test_a_teacher_is_asked_in_every_step_where_that_is_less_or_nothing_recurs(splits, change):
    recipe, teacher = replace(RECIPE, **change), Asked()
    trained(splits, recipe, teacher=teacher)
    assert teacher.images == recipe.epochs * (len(splits["train"]) // 32) * 32


def test_a_student_learns_from_its_teacher_alone(splits):
    """All weight on the teacher: the labels of the training images do not matter."""
    teacher, _ = trained(splits, replace(RECIPE, epochs=6))
    before = state(teacher)
    images = splits["train"].split.images
    wrong = Images(Split(images, np.zeros(len(images), np.int64)), SPEC)
    recipe = replace(RECIPE, epochs=6, distillation=1.0)
    student, _ = trained(splits | {"train": wrong}, recipe, network(5), teacher=teacher)
    assert accuracy(student, splits["test"]) > 0.9
    assert same(state(teacher), before)


# Going on after a kill


def run(data, checkpoint, progress):
    """Self-contained: the child that is killed runs this source too."""
    import torch
    from torch import nn

    from falcon_edge.data import open_dataset
    from falcon_edge.preprocessing import InputSpec
    from falcon_edge.training.fit import fit
    from falcon_edge.training.images import Images
    from falcon_edge.training.recipe import Recipe

    torch.set_num_threads(1)
    torch.manual_seed(0)
    head = [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 3)]
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), *head)
    spec = InputSpec(shape=(1, 12, 12), mean=(0.3,), std=(0.3,))
    dataset = open_dataset(data)
    recipe = Recipe(epochs=5, batch_size=32, learning_rate=0.05, flip=True, crop_padding=1)
    history = fit(
        model, Images(dataset.train, spec), Images(dataset.val, spec), recipe, checkpoint=checkpoint, progress=progress
    )
    return model, history


CHILD = f"""
import sys, time
from pathlib import Path

{inspect.getsource(run)}

def stall(done, total, text):
    if text.startswith("epoch 3/"):
        time.sleep(120)

run(sys.argv[1], Path(sys.argv[2]), stall)
"""


def test_a_killed_run_goes_on_to_the_same_bytes(stripes, tmp_path):
    checkpoint, texts = tmp_path / "state", []
    with subprocess.Popen([sys.executable, "-c", CHILD, str(stripes), str(checkpoint)]) as child:
        deadline = time.monotonic() + 60
        while not checkpoint.exists():
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.kill()
        assert child.wait() == -signal.SIGKILL
    resumed, history = run(stripes, checkpoint, lambda done, total, text: texts.append(text))
    unbroken, expected = run(stripes, tmp_path / "other", lambda done, total, text: None)
    assert same(state(resumed), state(unbroken))
    assert history == expected
    assert not any(text.startswith("epoch 1/") for text in texts)
    assert any(text.startswith("epoch 5/") for text in texts)


class Stopped(Exception):
    pass


def stopped_in(epoch):
    def stop(done, total, text):
        if text.startswith(f"epoch {epoch}/"):
            raise Stopped

    return stop


@pytest.mark.parametrize("epoch", [2, 3])
@pytest.mark.parametrize("taught", [True, False])
@pytest.mark.parametrize("more", [{}, {"ema": 0.9, "mixup": 0.3, "cutout": 3, "schedule": "one-cycle"}], ids=len)
def test_a_stopped_run_goes_on_from_its_last_whole_epoch(splits, tmp_path, epoch, taught, more):
    recipe, teacher = replace(RECIPE, flip=True, crop_padding=2, **more), network(3) if taught else None
    with pytest.raises(Stopped):
        trained(splits, recipe, teacher=teacher, checkpoint=tmp_path / "state", progress=stopped_in(epoch))
    resumed, history = trained(splits, recipe, teacher=teacher, checkpoint=tmp_path / "state")
    unbroken, expected = trained(splits, recipe, teacher=teacher)
    assert same(state(resumed), state(unbroken))
    assert history == expected


def test_a_finished_run_is_not_trained_again(splits, tmp_path):
    """Its checkpoint stays until what comes of it is safe."""
    first, history = trained(splits, checkpoint=tmp_path / "state")
    assert [name for name in os.listdir(tmp_path) if name.startswith(("state", ".state"))] == ["state"]
    second, again = trained(splits, checkpoint=tmp_path / "state", progress=stopped_in(3))
    assert same(state(first), state(second))
    assert history == again


def fewer(images):
    return Images(images.split.subset(np.arange(len(images) - 1)), SPEC)


def inverted(images):
    return Images(Split(255 - images.split.images, images.split.labels), SPEC)


def shifted(images):
    return Images(images.split, SPEC.model_copy(update={"mean": (0.4,)}))


@pytest.mark.parametrize(
    "change",
    [
        lambda splits: {"recipe": replace(RECIPE, learning_rate=0.06)},
        lambda splits: {"recipe": replace(RECIPE, seed=1)},
        lambda splits: {"recipe": replace(RECIPE, epochs=4)},
        lambda splits: {"model": network(1)},
        lambda splits: {"teacher": network(1)},
        lambda splits: {"splits": splits | {"train": fewer(splits["train"])}},
        lambda splits: {"splits": splits | {"train": inverted(splits["train"])}},
        lambda splits: {"splits": splits | {"train": shifted(splits["train"])}},
        lambda splits: {"splits": splits | {"val": splits["test"]}},
    ],
)
def test_a_checkpoint_of_another_run_is_refused(splits, tmp_path, change):
    checkpoint = tmp_path / "state"
    with pytest.raises(Stopped):
        trained(splits, checkpoint=checkpoint, progress=stopped_in(2))
    before = checkpoint.read_bytes()
    changed = {"splits": splits} | change(splits)
    with pytest.raises(BadInput, match=r"state: belongs to a run with another network, data or recipe; remove it"):
        trained(**changed, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_damaged_checkpoints_are_one_line(splits, tmp_path):
    checkpoint = tmp_path / "state"
    with pytest.raises(Stopped):
        trained(splits, checkpoint=checkpoint, progress=stopped_in(2))
    whole = checkpoint.read_bytes()
    torch.save({"fingerprint": torch.load(checkpoint, weights_only=True)["fingerprint"]}, tmp_path / "partial")
    damages = [(tmp_path / "partial").read_bytes(), b"PK", b"x" * 1000]
    damages += [whole[: len(whole) * share // 10] for share in range(10)]
    with zipfile.ZipFile(checkpoint) as archive:
        contents = [archive.read(name) for name in archive.namelist()]
    for content in contents:
        if len(content) >= 12:  # a tensor, or what says where they are
            place = whole.index(content) + len(content) // 2
            damages.append(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
    assert len(damages) > 20
    for damaged in damages:
        checkpoint.write_bytes(damaged)
        with pytest.raises(BadInput) as caught:
            trained(splits, checkpoint=checkpoint)
        assert str(caught.value) == f"{checkpoint}: not a whole training checkpoint; remove it to start over"


def test_a_checkpoint_that_cannot_be_written_is_one_line(splits, tmp_path):
    (tmp_path / "nowhere").write_text("a file")
    with pytest.raises(BadInput, match=r"nowhere/state: cannot be written") as caught:
        trained(splits, checkpoint=tmp_path / "nowhere" / "state")
    assert "\n" not in str(caught.value)


# Auxiliary outputs


class WithAuxiliary(nn.Module):
    """Answers as Inception, GoogLeNet and networks of others do: more in training mode."""

    def __init__(self, pack):
        super().__init__()
        self.net, self.pack, self.auxiliary = network(), pack, nn.Linear(144, 7)

    def forward(self, x):
        logits = self.net(x)
        return self.pack(logits, self.auxiliary(x.flatten(1))) if self.training else logits


Outputs = namedtuple("Outputs", "logits aux_logits")
PACKS = {
    "a named tuple": lambda logits, other: Outputs(logits, other),
    "a tuple, last": lambda logits, other: (other, logits),
    "a list in a list": lambda logits, other: [[other], [logits]],
    "a mapping": lambda logits, other: {"aux": other, "out": logits, "loss": None},
    "without": lambda logits, other: (logits, None),
}


@pytest.mark.parametrize("name", PACKS)
def test_auxiliary_outputs_in_training_mode_have_no_part(splits, name):
    model, history = trained(splits, model=WithAuxiliary(PACKS[name]), teacher=network(1))
    plain, expected = trained(splits, model=network(), teacher=network(1))
    assert history.epochs == expected.epochs
    assert same(state(model.net), state(plain))


def test_no_logits_in_training_mode_is_one_line(splits):
    with pytest.raises(BadInput, match=r"in training mode the network gives no output of shape \(images, 3\)"):
        trained(splits, model=WithAuxiliary(lambda logits, other: other))


# Finding a learning rate


def without_norm(seed=0):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 3))


FIND = replace(RECIPE, epochs=4, find_rate=True)


def test_a_rate_that_serves_is_all_that_is_tried(splits):
    """And the run is the very one that has it given."""
    model, history = trained(splits, replace(FIND, epochs=6))
    given, expected = trained(splits, replace(RECIPE, epochs=6))
    assert len(history.attempts) == 1
    assert history.epochs == expected.epochs
    assert same(state(model), state(given))


@pytest.mark.parametrize("rate", [1e30, 50.0])
def test_a_rate_too_high_is_divided_until_it_serves(splits, rate):
    first = rate if rate < 1e3 else 12.8
    recipe = replace(FIND, learning_rate=first, epochs=6)
    model, history = trained(splits, recipe, without_norm())
    rates = [attempt.learning_rate for attempt in history.attempts]
    assert rates == [first / 4**place for place in range(len(rates))]
    assert 2 <= len(rates) <= 5
    assert history.best > 0
    assert history.figure > 0.6
    assert accuracy(model, splits["val"]) == history.figure


def test_what_is_kept_is_what_that_rate_gives_by_itself(splits):
    recipe = replace(FIND, learning_rate=12.8, epochs=6)
    model, history = trained(splits, recipe, without_norm())
    given, expected = trained(splits, replace(RECIPE, learning_rate=history.learning_rate, epochs=6), without_norm())
    assert history.epochs == expected.epochs
    assert same(state(model), state(given))


@pytest.mark.parametrize(("attempt", "epoch"), [(1, 2), (2, 1), (2, 2)])
def test_a_search_that_is_killed_goes_on_to_the_same_bytes(splits, tmp_path, attempt, epoch):
    recipe = replace(FIND, learning_rate=12.8, epochs=4)
    place = f"epoch {epoch}/4" + (f" at learning rate {12.8 / 4 ** (attempt - 1):g}" if attempt > 1 else "")

    def stop(done, total, text):
        if text == place:
            raise Stopped

    with pytest.raises(Stopped):
        trained(splits, recipe, without_norm(), checkpoint=tmp_path / "state", progress=stop)
    resumed, history = trained(splits, recipe, without_norm(), checkpoint=tmp_path / "state")
    unbroken, expected = trained(splits, recipe, without_norm())
    assert len(expected.attempts) >= attempt
    assert history == expected
    assert same(state(resumed), state(unbroken))


def test_gradients_are_clipped_and_those_of_a_good_run_are_not_near_it(splits, monkeypatch):
    norms, clip = [], nn.utils.clip_grad_norm_
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", lambda *words: norms.append(clip(*words)) or norms[-1])
    trained(splits, teacher=network(1))
    assert 0 < max(norms) < LARGEST_GRADIENT / 5
    norms.clear()
    huge = network()
    huge[-1].weight.data *= 1e6
    before = huge[-1].bias.detach().clone()
    recipe = replace(RECIPE, epochs=1, batch_size=240, learning_rate=0.01, warm_up=0.0, weight_decay=0.0)
    fit(huge, splits["train"], turned(splits["val"]), recipe)
    assert norms[0] > LARGEST_GRADIENT
    assert (huge[-1].bias - before).norm() <= 0.01 * LARGEST_GRADIENT * 1.001


# Divergence


def test_divergence_is_one_line(splits):
    with pytest.raises(BadInput) as caught:
        trained(splits, replace(RECIPE, learning_rate=1e30, warm_up=0.0))
    assert str(caught.value) == "training diverged in epoch 1: lower the learning rate"


def test_a_run_that_diverged_leaves_no_checkpoint_in_the_way(splits, tmp_path):
    recipe = replace(RECIPE, epochs=5, learning_rate=3e18, warm_up=0.99)  # it rises over the epochs
    with pytest.raises(BadInput, match=r"training diverged in epoch \d"):
        trained(splits, recipe, checkpoint=tmp_path / "state")
    assert os.listdir(tmp_path) == []


def test_a_last_step_that_diverges_is_found_too(splits):
    """One step: its loss was taken before the step that broke the weights."""
    few = Images(splits["train"].split.subset(np.arange(32)), SPEC)
    with pytest.raises(BadInput, match="training diverged in epoch 1: lower the learning rate"):
        trained(splits | {"train": few}, replace(RECIPE, epochs=1, learning_rate=1e38, warm_up=0.0))


def test_accuracy_of_a_broken_network_is_not_a_figure(splits):
    model = network()
    model[-1].bias.data[1] = math.nan
    with pytest.raises(BadInput, match="not finite"):
        accuracy(model, splits["test"])
    with pytest.raises(BadInput, match="the network's outputs are not finite"):
        trained(splits, FIND, model)
