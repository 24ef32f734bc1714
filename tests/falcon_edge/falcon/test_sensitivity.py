"""What a layer's output is worth, against answers of networks in which it was disturbed."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import tensors_in
from falcon_edge.falcon.sensitivity import sensitivities

SHARE = 0.01  # of a layer's variance that is lost
LAYERS = ("0", "3", "6")


def network(*, inplace=True, answers=4):
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace)),
        *(nn.Conv2d(8, 16, 3, stride=2), nn.GELU(), nn.Dropout(0.5)),
        *(nn.Conv2d(16, 12, 3, padding=1), nn.ReLU(inplace), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(12, answers),
    ).eval()


class Two(nn.Module):
    """Two maps of other scales."""

    def __init__(self):
        super().__init__()
        self.body, self.head = network()[:8], nn.Conv2d(12, 3, 1)

    def forward(self, x):
        found = self.body(x)
        return {"map": 100 * self.head(found), "features": found.mean((2, 3))}


@pytest.fixture(scope="module")
def images():
    return torch.randn(128, 2, 12, 12, generator=torch.Generator().manual_seed(1))


def batches(images):
    return images.split(32)


def disturbed(model, name, images, share):
    """The answers with noise in a layer's output that has a share of each channel's variance."""
    model = copy.deepcopy(model)
    draws = torch.Generator().manual_seed(2)

    def add(_layer, _inputs, given):
        spread = given.std((0, 2, 3), keepdim=True)
        return given + share**0.5 * spread * torch.randn(given.shape, generator=draws)

    model.get_submodule(name).register_forward_hook(add)
    with torch.no_grad():
        return model(images)


def divergence(wanted, found):
    wanted, found = (functional.log_softmax(each, 1) for each in (wanted, found))
    return float(functional.kl_div(found, wanted, reduction="batchmean", log_target=True))


def test_of_a_classifier_it_is_the_divergence_of_its_answers(images):
    model = network()
    model[-1].weight.data.mul_(8)  # decided answers: at random ones there is nothing to lose
    worth = sensitivities(model, LAYERS, batches(images), decides=True)
    with torch.no_grad():
        wanted = model(images)
    for name in LAYERS:
        measured = divergence(wanted, disturbed(model, name, images, SHARE))
        assert SHARE * worth[name] == pytest.approx(measured, rel=0.3)


def test_of_other_outputs_it_is_their_squared_error(images):
    model = Two().eval()
    names = [f"body.{name}" for name in LAYERS]
    worth = sensitivities(model, names, batches(images), decides=False)
    with torch.no_grad():
        wanted = tensors_in(model(images))
    for name in names:
        found = tensors_in(disturbed(model, name, images, SHARE))
        errors = [(one - other).square().mean() / one.var() for one, other in zip(wanted, found, strict=True)]
        assert SHARE * worth[name] == pytest.approx(float(sum(errors)), rel=0.3)


def test_what_changes_an_output_in_place_makes_no_difference(images):
    found = [sensitivities(network(inplace=each), LAYERS, batches(images), decides=True) for each in (True, False)]
    assert found[0] == pytest.approx(found[1])


def test_a_layer_that_no_answer_depends_on_is_worth_nothing(images):
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.idle = network(), nn.Conv2d(2, 2, 1)

        def forward(self, x):
            self.idle(x)
            return self.net(x)

    worth = sensitivities(Idle(), ["net.0", "idle"], batches(images), decides=True)
    assert worth["idle"] == 0
    assert worth["net.0"] > 0


def test_a_layer_that_is_called_twice_is_worth_both(images):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(2, 4)

        def forward(self, x):
            return self.head(self.conv(self.conv(x)).mean((2, 3)))

    torch.manual_seed(0)
    assert sensitivities(Twice(), ["conv"], batches(images), decides=True)["conv"] > 0


def test_answers_without_a_gradient_do_not_count(images):
    class Chosen(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, x):
            found = self.net(x)
            return {"class": found.argmax(1), "scores": found}

    worth = sensitivities(Chosen(), ["net.0"], batches(images), decides=False)
    assert worth["net.0"] > 0


def test_a_network_without_gradients_is_refused(images):
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        @torch.no_grad()
        def forward(self, x):
            return self.net(x)

    with pytest.raises(BadInput, match="no gradient comes from the network's answers"):
        sensitivities(Frozen(), ["net.0"], batches(images), decides=True)


def test_the_network_is_left_as_it_was(images):
    model = network().train()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    one, other = (sensitivities(model, LAYERS, batches(images), decides=True) for _ in range(2))
    assert one == other
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("cut", [lambda layer, x: layer(x).detach(), torch.no_grad()(lambda layer, x: layer(x))])
def test_a_layer_that_no_gradient_comes_to_is_not_taken_for_worthless(images, cut):
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.net = nn.Conv2d(2, 2, 3, padding=1), network()

        def forward(self, x):
            return self.net(cut(self.stem, x))

    model = Frozen().eval()
    with pytest.raises(BadInput, match="stem: the answers depend on it, and no gradient comes to it"):
        sensitivities(model, ["stem", "net.0"], batches(images), decides=True)
    assert sensitivities(model, ["net.0"], batches(images), decides=True)["net.0"] > 0


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm])
def test_a_network_that_computes_weights_can_be_copied_afterwards(images, norm):
    model = network()
    model[3] = norm(model[3]).eval()
    with torch.no_grad():
        model(images[:1])
    sensitivities(model, ("0", "6"), batches(images), decides=True)
    copy.deepcopy(model)


def test_a_network_may_change_its_input_in_place_but_not_what_its_gradients_need(images):
    class InPlace(nn.Module):
        def __init__(self, change):
            super().__init__()
            self.net, self.change = network(), change

        def forward(self, x):
            return self.net[3:](self.change(self.net[:3](x.mul_(2))))

    before = images.clone()
    assert sensitivities(InPlace(lambda x: x), ["net.0"], batches(images), decides=True)["net.0"] > 0
    assert torch.equal(images, before)
    with pytest.raises(BadInput, match="no gradient can be taken of the network: one of the variables needed"):
        sensitivities(InPlace(lambda x: x.mul_(x)), ["net.0"], batches(images), decides=True)


def test_a_linear_layer_that_reads_channels_last_is_worth_what_a_pointwise_one_is(images):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.linear, self.net = nn.Conv2d(2, 6, 3), nn.Linear(6, 2), network()

        def forward(self, x):
            return self.net(self.linear(self.stem(x).movedim(1, -1)).movedim(-1, 1))

    last = Last().eval()
    pointwise = nn.Conv2d(6, 2, 1)
    pointwise.weight.data, pointwise.bias.data = last.linear.weight.data[:, :, None, None], last.linear.bias.data
    first = nn.Sequential(last.stem, pointwise, last.net).eval()
    found = sensitivities(last, ["linear"], batches(images), decides=True)["linear"]
    assert found == pytest.approx(sensitivities(first, ["1"], batches(images), decides=True)["1"])
