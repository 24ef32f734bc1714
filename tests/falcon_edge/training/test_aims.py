"""Learning from the teacher alone: its loss, its figure, and what a run makes of them."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from falcon_edge.data import Split
from falcon_edge.errors import BadInput
from falcon_edge.preprocessing import InputSpec
from falcon_edge.training.aims import Likeness
from falcon_edge.training.fit import fit
from falcon_edge.training.images import Images
from falcon_edge.training.loop import NotFinite
from falcon_edge.training.recipe import Recipe

SPEC = InputSpec(shape=(1, 8, 8), mean=(0.5,), std=(0.5,))
RECIPE = Recipe(epochs=4, learning_rate=0.05, batch_size=8)


class Heads(nn.Module):
    """A map, a row and whole numbers; an output more while it is trained."""

    def __init__(self, scale=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.scale = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 2), scale

    def forward(self, x):
        x = torch.relu(self.body(x))
        found = {"map": x * self.scale, "row": self.head(x.mean((2, 3))), "best": x.argmax(1)}
        return found | ({"aside": x} if self.training else {})


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return [Images(Split(random.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)), SPEC) for count in (40, 16)]


def changed(network):
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.body.weight += 0.2 * torch.randn_like(other.body.weight)
    return other


def test_a_network_is_wholly_like_itself(images):
    network = Heads().eval()
    assert Likeness(network).judged(network, images[1]) == (1.0, 0.0)


def test_likeness_is_what_the_differences_leave_of_the_squares(images):
    teacher = Heads().eval()
    student = changed(teacher)
    inputs = torch.cat(list(images[1].unlabelled(5)))
    with torch.no_grad():
        wanted, found = teacher(inputs), student.eval()(inputs)
    shares = [
        float((found[name] - wanted[name]).square().sum() / wanted[name].square().sum()) for name in ("map", "row")
    ]
    assert Likeness(teacher).judged(student, images[1]) == pytest.approx((1 - np.mean(shares), np.mean(shares)))


def test_outputs_count_alike_however_large_they_are(images):
    teacher, large = Heads().eval(), Heads(1e4).eval()
    student, other = changed(teacher), changed(large)
    other.load_state_dict(student.state_dict())
    assert Likeness(teacher).judged(student, images[1]) == pytest.approx(Likeness(large).judged(other, images[1]))


def test_a_student_becomes_like_its_teacher(images):
    teacher = Heads().eval()
    student = changed(teacher)
    before, _ = Likeness(teacher).judged(student, images[1])
    history = fit(student, *images, replace(RECIPE, epochs=20, find_rate=True), teacher=teacher, alone=True)
    after, _ = Likeness(teacher).judged(student, images[1])
    assert (history.metric, history.words, history.goal) == ("likeness", "likeness", 1.0)
    assert after == history.figure
    assert 1 - after < (1 - before) / 2
    assert b'"metric":"likeness"' in history.lines()


def test_a_killed_run_goes_on_to_the_same_weights(images, tmp_path):
    teacher = Heads().eval()
    whole = changed(teacher)
    broken, start = copy.deepcopy(whole), copy.deepcopy(whole)
    fit(whole, *images, RECIPE, teacher=teacher, alone=True)

    def stop(done, total, text):
        if "epoch 2/4:" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(broken, *images, RECIPE, teacher=teacher, alone=True, checkpoint=tmp_path / "c", progress=stop)
    fit(start, *images, RECIPE, teacher=teacher, alone=True, checkpoint=tmp_path / "c")
    assert all(torch.equal(one, start.state_dict()[name]) for name, one in whole.state_dict().items())


def test_what_nothing_can_be_learned_from_is_said(images):
    class Whole(nn.Conv2d):
        def forward(self, x):
            return super().forward(x).argmax(1)

    class Other(Heads):
        def forward(self, x):
            found = super().forward(x)
            return {"row": found["row"]} if self.training else found

    whole, broken = Whole(1, 3, 3).eval(), Heads().eval()
    with pytest.raises(BadInput, match="its outputs are whole numbers"):
        fit(copy.deepcopy(whole), *images, RECIPE, teacher=whole, alone=True)
    with pytest.raises(BadInput, match=r"in training mode the network gives no output map of shape \(8, 4, 8, 8\)"):
        fit(Other(), *images, RECIPE, teacher=Heads(), alone=True)
    with torch.no_grad():
        broken.head.bias.fill_(float("nan"))
    with pytest.raises(NotFinite):
        Likeness(Heads().eval()).judged(broken, images[1])
