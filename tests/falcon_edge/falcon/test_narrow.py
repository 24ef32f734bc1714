"""Channels that stand and fall together, found, chosen and removed."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.falcon import surgery
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.coupling import Side, couple
from falcon_edge.falcon.cutting import cut, masked
from falcon_edge.falcon.forms import FORMS
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.narrow import Narrower, check_plan, joined, narrow_plan, refit, removable
from falcon_edge.falcon.observe import observe
from falcon_edge.falcon.plan import Coupled, Plan, default_layers, make_plan
from falcon_edge.falcon.statistics import reestimate_batchnorm
from falcon_edge.models.sources import build
from falcon_edge.models.vgg import vgg8
from tests.support.random_networks import networks

SHAPE = (3, 8, 8)


def answers(module, seed=7, shape=SHAPE):
    with torch.no_grad():
        return module(torch.randn(4, *shape, generator=torch.Generator().manual_seed(seed)))


def near(found, wanted, share=1e-5):
    return found.shape == wanted.shape and bool(((found - wanted).abs() <= share * max(1.0, wanted.abs().max())).all())


def free(groups):
    return [group for group in groups if group.reason is None and group.channels > 1]


@settings(max_examples=25, deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_without_channels_a_network_answers_as_if_nothing_read_them(network, random):
    groups = free(removable(network, SHAPE))
    removed = joined(
        group.removed(random.sample(range(group.channels), random.randrange(group.channels))) for group in groups
    )
    assert near(answers(cut(network, removed)), answers(masked(network, removed)))


@settings(max_examples=15, deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_dead_channels_are_removed_without_a_change(network, random):
    dead = []
    for group in free(removable(network, SHAPE)):
        dead.append(group.removed(random.sample(range(group.channels), random.randrange(group.channels))))
        for side, places in dead[-1].items():
            module, places = dict(network.named_modules()).get(side.name), list(places)
            if side.end == "outputs" and module is not None:  # or it is a factor
                weight = torch.zeros(len(module.running_mean)) if module.weight is None else module.weight.data
                (weight.transpose(0, 1) if isinstance(module, nn.ConvTranspose2d) else weight)[places] = 0
                for numbers in (module.bias, getattr(module, "running_mean", None)):
                    if numbers is not None:
                        numbers.data[places] = 0
    removed = joined(dead)
    wanted = answers(network)
    assert near(answers(cut(network, removed)), wanted)
    images = [torch.randn(8, *SHAPE)]
    assert near(answers(cut(refit(network, SHAPE, removed, lambda: images), removed)), wanted)


class Net(nn.Module):
    """A convolution, a function of its channels, another convolution."""

    def __init__(self, function):
        super().__init__()
        self.one, self.two, self.function = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1), function

    def forward(self, x):
        return self.two(self.function(self.one(x)))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.softmax(1), "softmax goes over the channels"),
        (lambda x: x * x.mean(1, keepdim=True), "mean goes over the channels"),
        (lambda x: torch.cat([x[:, 4:], x[:, :4]], 1), "slice cuts it"),
        (lambda x: x.view(-1, 2, 4, 8, 8).transpose(1, 2).flatten(1, 2), "view spreads or cuts it"),
        (lambda x: x.roll(1, 1), "roll reads it"),
        (lambda x: x * torch.arange(8.0)[:, None, None], "it meets numbers that are no layer's"),
        (lambda x: nn.functional.layer_norm(x, (8, 8, 8)), "native_layer_norm reads it"),
        (lambda x: nn.functional.group_norm(x, 2), "native_group_norm reads it"),
        (lambda x: x.reshape(-1, 8, 8, 8), "the network's code counts on its number of channels"),
        (lambda x: x * x.shape[1], "without it the network's code does something else"),
        (lambda x: x @ x.transpose(2, 3), "bmm reads it"),
        (nn.InstanceNorm2d(8, affine=True), "a normalisation reads it"),
    ],
)
def test_channels_that_are_read_for_more_than_themselves_are_kept_and_the_reason_is_said(function, reason):
    network = Net(function)
    (group,) = (group for group in removable(network, SHAPE) if Side("one", "outputs") in group.positions)
    assert group.reason is not None
    assert reason in group.reason
    with pytest.raises(BadInput, match="no channels that can be removed"):
        narrow_plan(network, SHAPE, 0.5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: nn.functional.hardswish(x) + x.flip(2),
        lambda x: x.permute(0, 2, 3, 1).relu().permute(0, 3, 1, 2),
        lambda x: nn.functional.interpolate(x[:, :, 1:-1, ::2], scale_factor=2),
        lambda x: x * x.mean((2, 3)).sigmoid()[:, :, None, None],
        lambda x: x.clone().mul_(2).add_(x.amax((2, 3), True)),
        lambda x: nn.functional.pad(x, (1, 1, 2, 2)) / x.shape[3],
        lambda x: x.softmax(3),
        nn.InstanceNorm2d(8),
        torch.relu_,
    ],
)
def test_functions_that_take_each_channel_for_itself(function):
    network = Net(function)
    (group,) = (group for group in removable(network, SHAPE) if Side("one", "outputs") in group.positions)
    assert group.reason is None
    assert set(group.positions) == {Side("one", "outputs"), Side("two", "inputs")}


def test_a_parameter_of_its_own_goes_with_its_channels():
    class Scaled(Net):
        def __init__(self):
            super().__init__(lambda x: x * self.gamma.view(1, -1, 1, 1) + self.shift)
            self.gamma, self.act = nn.Parameter(torch.randn(8)), nn.PReLU(8)
            self.register_buffer("shift", torch.randn(8, 1, 1))

        def forward(self, x):
            return self.two(self.act(self.function(self.one(x))))

    network = Scaled()
    (group,) = (group for group in removable(network, SHAPE) if Side("one", "outputs") in group.positions)
    assert {side.name for side in group.positions} == {"one", "gamma", "shift", "act.weight", "two"}
    removed = group.removed([1, 5])
    narrowed = cut(network, removed)
    narrowed.function = lambda x: x * narrowed.gamma.view(1, -1, 1, 1) + narrowed.shift
    assert narrowed.gamma.shape == (6,)
    assert near(answers(narrowed), answers(masked(network, removed)))


def test_weights_with_two_owners_and_weights_that_are_computed_are_kept():
    computed = Net(lambda x: nn.functional.conv2d(x, computed.two.weight * 2))
    computed.two.forward = lambda x: x
    assert "a convolution by a computed weight reads it" in {group.reason for group in couple(computed, SHAPE)}
    assert not free(couple(computed, SHAPE))
    tied = nn.Sequential(*(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)))
    tied[2].weight = tied[1].weight
    assert "the weight of 2 is that of 1 too" in {group.reason for group in couple(tied, SHAPE)}
    assert not free(couple(tied, SHAPE))


@pytest.mark.parametrize("name", ["vgg8", "vgg19", "resnet34"])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_a_share_of_the_macs_is_kept_to(name, share):
    network, shape = build(name, width=0.25).eval(), (1, 28, 28) if name == "vgg8" else (3, 32, 32)
    plan = narrow_plan(network, shape, share, lanes=8)
    narrowed = surgery.apply(network, {}, removed=plan.removed)
    found = cost(narrowed, shape)
    assert (found.parameters, found.macs) == (plan.planned_parameters, plan.planned_macs)
    assert 0.85 * share * plan.macs < plan.planned_macs <= share * plan.macs
    widths = {group.planned_channels for group in plan.coupled if group.planned_channels != group.channels}
    assert all(width % 8 == 0 or width in (1, 2, 4) for width in widths)
    fresh = cut(build(name, width=0.25), plan.removed)
    fresh.load_state_dict(narrowed.state_dict())
    assert near(answers(fresh.eval(), shape=shape), answers(narrowed, shape=shape), 0)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert make_plan(network, shape, {}, coupled=plan.coupled) == plan


def test_what_varies_is_kept_and_what_follows_from_others_is_fitted():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1))
    with torch.no_grad():
        network[0].bias.fill_(0.1)
        network[0].weight[4:], network[0].bias[4:] = 2 * network[0].weight[:4], 2 * network[0].bias[:4]
    images = [torch.randn(16, *SHAPE)]
    plan = narrow_plan(network, SHAPE, 0.51, lanes=1, batches=images)
    (group,) = (group for group in plan.coupled if group.planned_channels < group.channels)
    kept = set(range(8)) - set(group.sides[0].removed)
    assert {channel % 4 for channel in kept} == {0, 1, 2, 3}  # one of each pair
    narrowed = cut(refit(network, SHAPE, plan.removed, lambda: images), plan.removed)
    assert near(answers(narrowed), answers(network), 1e-4)
    assert not near(answers(cut(network, plan.removed)), answers(network), 1e-2)


@pytest.mark.parametrize(
    "reader",
    [
        [nn.Conv2d(16, 6, 3, stride=2)],
        [nn.Conv2d(16, 6, 3, groups=2)],
        [nn.Conv2d(16, 6, 3, bias=False), nn.BatchNorm2d(6)],
        [nn.ConvTranspose2d(16, 6, 2, 2, groups=2)],
        [nn.ConvTranspose2d(16, 6, 3, 3, bias=False)],
        [nn.Flatten(), nn.Linear(16 * 64, 5)],
        [nn.Flatten(2), nn.Conv1d(16, 6, 5)],
        [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5, bias=False)],
    ],
)
def test_every_reader_makes_up_for_channels_that_follow_from_others(reader):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(3, 16, 1, bias=False), *reader)  # of 3 dimensions
    images = [torch.randn(64, *SHAPE) + torch.tensor([1.0, 2.0, -1.0])[:, None, None]]
    (group,) = (each for each in couple(network, SHAPE) if Side("0", "outputs") in each.positions)
    removed = group.removed(range(group.channels // 2))
    narrowed = cut(refit(network, SHAPE, removed, lambda: images), removed)
    if isinstance(reader[-1], nn.BatchNorm2d):
        images[0] = torch.randn(64, *SHAPE)
        for module in (network, narrowed):
            reestimate_batchnorm(module, images)
    wanted = answers(network.eval())
    errors = [
        float((answers(each.eval()) - wanted).norm() / wanted.norm()) for each in (narrowed, cut(network, removed))
    ]
    assert errors[0] < 1e-3
    assert errors[1] > 0.1


def test_layer_by_layer_the_fit_makes_up_for_the_layers_before():
    torch.manual_seed(2)
    network = nn.Sequential(
        *(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 1)),
        *(nn.ReLU(), nn.Flatten(), nn.Linear(256, 5)),
    ).eval()
    images = torch.randn(512, 3, 3, 3).repeat_interleave(3, 2).repeat_interleave(3, 3)[..., :8, :8]  # blocks of pixels
    removed = joined(group.removed(range(0, group.channels, 2)) for group in free(couple(network, SHAPE)))
    with torch.no_grad():
        wanted, errors = network(images), []
        for sequential in (False, True):
            made = cut(refit(network, SHAPE, removed, lambda: images.split(128), sequential=sequential), removed)
            errors.append(float((made(images) - wanted).square().sum()))
    assert errors[1] < errors[0]


def test_other_forms_on_top_of_a_narrower_network():
    network = build("vgg8", width=0.25).eval()
    coupled = narrow_plan(network, (1, 28, 28), 0.5, lanes=8).coupled
    replaced = {"features.11": Replacement("falcon", (2,)), "features.14": Replacement("tucker2", (8, 99))}
    plan = make_plan(network, (1, 28, 28), replaced, coupled=coupled)
    made = surgery.apply(network, plan.replaced, removed=plan.removed)
    found = cost(made, (1, 28, 28))
    assert (found.parameters, found.macs) == (plan.planned_parameters, plan.planned_macs)
    layer = next(layer for layer in plan.layers if layer.name == "features.14")
    assert layer.sizes[1] < layer.kernel[0]  # clamped at what is left
    assert cost(network, (1, 28, 28)).macs == plan.macs


@pytest.mark.parametrize(
    ("side", "removed", "said"),
    [
        (Side("9", "outputs"), (0,), "which the network has not"),
        (Side("1", "outputs"), (0,), "which is a ReLU"),
        (Side("0", "outputs"), (8,), "that its 8 are not"),
        (Side("0", "outputs"), tuple(range(8)), "leave at least one"),
    ],
)
def test_plans_of_another_network(side, removed, said):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(BadInput, match=said):
        cut(network, {Side("2", "inputs"): (0,), side: removed}, in_place=True)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    "damage", [("[1,", "[9,"), ('"planned_channels":4', '"planned_channels":5'), ("outputs", "side")]
)
def test_damaged_plans(damage):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    with torch.no_grad():
        network[2].weight[:, [0, 5, 6, 7]] *= 10
    text = narrow_plan(network, SHAPE, 0.51, lanes=4).model_dump_json()
    assert '"removed":[1,2,3,4]' in text
    with pytest.raises(ValidationError):
        Plan.model_validate_json(text.replace(*damage))


@pytest.mark.parametrize(
    ("share", "error", "said"),
    [(0.001, BelowAsked, "at its smallest leaves"), (0, BadInput, "between"), (1, BadInput, "between")],
)
def test_shares_that_cannot_be_had(share, error, said):
    with pytest.raises(error, match=said):
        narrow_plan(build("vgg8", width=0.25).eval(), (1, 28, 28), share)


def test_an_even_width_leaves_every_group_its_share():
    network = vgg8().eval()
    narrower = Narrower(network, (1, 28, 28), lanes=8)
    counts = {
        width: [each.planned_channels for each in narrower.even(width).coupled if each.planned_channels < each.channels]
        for width in (0.75, 0.5, 0.01)
    }
    channels = [each.channels for each in narrower.even(0.5).coupled if each.planned_channels < each.channels]
    assert counts[0.5] == [each // 2 for each in channels]
    assert all(count <= 0.75 * each for count, each in zip(counts[0.75], channels, strict=True))
    assert set(counts[0.01]) == {1}
    errors = [sum(narrower.even(width).errors.values()) for width in (0.75, 0.5, 0.01)]
    assert 0 < errors[0] < errors[1] < errors[2]
    assert narrower.even(0.5).errors.keys() <= narrower.readers.keys()


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("width", [0.75, 0.5, 0.35, 0.1])
def test_a_grouped_convolution_may_keep_one_channel_in_each_group(groups, width):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1, groups=groups), nn.ReLU()]
    layers += [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)]
    network = nn.Sequential(*layers).eval()
    removed = Narrower(network, SHAPE).even(width).removed
    assert near(answers(cut(network, removed)), answers(masked(network, removed)))


def test_numbers_of_its_own_that_are_moved_go_with_their_channels():
    class Scaled(Net):
        def __init__(self):
            super().__init__(lambda x: x * self.gamma.flip(0)[:, None, None])
            self.gamma = nn.Parameter(torch.randn(8))

    network = Scaled()
    (group,) = (group for group in removable(network, SHAPE) if Side("one", "outputs") in group.positions)
    assert group.positions[Side("gamma", "outputs")] == tuple((7 - channel,) for channel in range(8))


def test_a_layer_is_watched_however_it_is_called():
    class Called(Net):
        def forward(self, x):
            return self.two(input=self.function(self.one(input=x)))

    torch.manual_seed(0)
    images = [torch.randn(8, *SHAPE)]
    named, plain = Called(torch.relu), Net(torch.relu)
    plain.load_state_dict(named.state_dict())
    plans = [narrow_plan(each, SHAPE, 0.6, lanes=4, batches=images) for each in (named, plain)]
    assert plans[0] == plans[1]
    made = [cut(refit(each, SHAPE, plans[0].removed, lambda: images), plans[0].removed) for each in (named, plain)]
    assert near(answers(made[0]), answers(made[1]), 0)
    for form in ("falcon", "tucker2"):
        replaced = {"one": Replacement(form, (1,) * (2 if form == "tucker2" else 1))}
        assert near(answers(surgery.apply(named, replaced)), answers(surgery.apply(plain, replaced)), 0)


def test_weights_that_are_used_without_a_call_are_kept():
    class Used(Net):
        def forward(self, x):
            found = self.function(self.one(x))
            return nn.functional.conv2d(found, self.two.weight, self.two.bias) + self.three(found)

    network = Used(torch.relu)
    network.three = nn.Conv2d(8, 4, 1)
    assert "a convolution by a computed weight reads it" in {group.reason for group in couple(network, SHAPE)}
    with pytest.raises(BadInput, match="no channels that can be removed"):
        narrow_plan(network, SHAPE, 0.5, batches=[torch.randn(8, *SHAPE)])


def test_a_network_that_changes_its_input_in_place_is_made_narrower_all_the_same():
    class Shifted(Net):
        def forward(self, x):
            return super().forward(x.sub_(0.5))

    torch.manual_seed(0)
    network, images = Shifted(torch.relu), torch.randn(8, *SHAPE)
    removed = narrow_plan(network, SHAPE, 0.6, lanes=4, batches=[images.clone()]).removed
    plain = Net(torch.relu)
    plain.load_state_dict(network.state_dict())
    kept = [refit(plain, SHAPE, removed, lambda: [images - 0.5], sequential=True)]
    kept.append(refit(network, SHAPE, removed, lambda: [images.clone()], sequential=True))
    assert all(near(kept[1].state_dict()[name], value) for name, value in kept[0].state_dict().items())


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({0: {0: (1, 2)}}, "removes other channels from the outputs of 0 than from the inputs of 2"),
        ({0: {1: ()}}, "removes other channels from the outputs of 0 than from the inputs of 2"),
        ({1: {1: (0, 1, 2, 3, 4)}}, "removes parts of channels from the inputs of 4"),
        ({2: {0: (1, 2)}}, "removes channels from the outputs of 4, but an answer is made of it"),
    ],
)
def test_plans_whose_channels_were_changed_by_hand(groups, said):
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=4), nn.Flatten(), nn.Linear(16, 4)]
    network = nn.Sequential(*layers)
    whole = [
        Coupled.of(group, (0, 1) if group.reason is None else (), "so it is")
        for group in removable(network, SHAPE)
        if Side("0", "inputs") not in group.positions
    ]
    plan = make_plan(network, SHAPE, {}, coupled=whole)
    check_plan(network, SHAPE, plan)
    check_plan(network, SHAPE, make_plan(network, SHAPE, {}))
    changed = list(whole)
    for number, sides in groups.items():
        given = [
            side.model_copy(
                update={
                    "removed": sides.get(index, side.removed),
                    "times": 1 if len(sides.get(index, ())) > 4 else side.times,
                }
            )
            for index, side in enumerate(whole[number].sides)
        ]
        changed[number] = whole[number].model_copy(update={"sides": tuple(given)})
    with pytest.raises(BadInput, match=said):
        check_plan(network, SHAPE, plan.model_copy(update={"coupled": tuple(changed)}))


def test_a_plan_of_another_width_removes_nothing():
    plan = narrow_plan(build("vgg8", width=0.125).eval(), (1, 28, 28), 0.5)
    with pytest.raises(BadInput, match=r"of another network: features.4 has a kernel \(8, 8, 3, 3\) there, not \(16,"):
        check_plan(build("vgg8", width=0.25).eval(), (1, 28, 28), plan)


def test_what_a_plan_says_twice_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    plan = narrow_plan(network, SHAPE, 0.6, lanes=4)
    for field, said in (
        ("layers", "plan has 0 twice"),
        ("coupled", "plan removes channel . of the outputs of 0 twice"),
    ):
        given = plan.model_dump(mode="json")
        given[field] += given[field]
        with pytest.raises(BadInput, match=said):
            check_plan(network, SHAPE, Plan.model_validate(given))


@settings(max_examples=25, deadline=None)
@given(networks(), st.sampled_from([0.8, 0.5, 0.2]), st.randoms(use_true_random=False))
def test_what_is_planned_of_forms_and_channels_is_what_is_built(network, width, random):
    try:
        coupled = Narrower(network, SHAPE, lanes=1).even(width).coupled
    except BadInput:
        coupled = ()
    narrowed = cut(network, joined(each.gone for each in coupled))
    replaced, lossless = {}, {}
    for name, reason in default_layers(narrowed, observe(narrowed, SHAPE)).items():
        conv = narrowed.get_submodule(name)
        forms = [form for form in FORMS.values() if reason is None and form.why_not(conv) is None]
        if forms:
            form = random.choice(forms)
            most = form.lossless(conv.weight)
            replaced[name] = Replacement(form.name, tuple(random.randint(1, size) for size in most))
            lossless[name] = Replacement(form.name, most)
    for chosen in (replaced, lossless):
        plan = make_plan(network, SHAPE, chosen, coupled=coupled)
        check_plan(network, SHAPE, plan)
        made = surgery.apply(network, plan.replaced, removed=plan.removed)
        found = cost(made, SHAPE)
        assert (found.parameters, found.macs) == (plan.planned_parameters, plan.planned_macs)
    assert near(answers(made), answers(narrowed), 1e-4)
