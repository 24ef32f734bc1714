"""What runs is what is counted: against the exported graph, for convolutions used in every way but the usual one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from converters.inspect import describe
from converters.onnx_export import export_onnx
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.observe import BYPASSED, DEAD, OUTSIDE, Place, Use, observe, outlined
from falcon_edge.falcon.plan import default_layers, make_plan
from tests.support.forms import falcon

SHAPE = (8, 12, 12)


def conv(inputs=8, outputs=8, **options):
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


class Network(nn.Module):
    """Some parts, and a function of them and an image; at the end what an image classifier has."""

    def __init__(self, run, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run, self.head = run, nn.LazyLinear(3)
        self(torch.zeros(1, *SHAPE))
        self.eval()

    def forward(self, x):
        return self.head(self.run(self, x).mean((2, 3)))


def attention(network, x):
    tokens = x.flatten(2).transpose(1, 2)
    y = network.attention(tokens, tokens, tokens, need_weights=False)[0]
    return y.transpose(1, 2).unflatten(2, x.shape[2:])


def keep_nothing(network, x):
    network.b(x)
    return network.a(x)


def tied():
    a, b = conv(), conv()
    b.weight = a.weight
    return {"a": a, "b": b}


def replaced_forward():
    a = conv()
    a.forward = lambda x: functional.conv2d(x, a.weight, a.bias, 1, 1) * 2
    return a


def kernel_of_another():
    a = conv()
    return {"a": a, "kernel": nn.ParameterList([a.weight])}


def called_from_a_list(network, x):
    for one in network.order:
        x = one(x)
    return network.b(x)


def called_as_convolutions(network, x):
    for one in network.children():
        x = one(x) if isinstance(one, nn.Conv2d) else x
    return x


# Each: its parts, what it computes, and the reasons for which convolutions are left standard.
WAYS = {
    "plain": ({"a": conv}, lambda n, x: n.a(x), {}),
    "a weight used by a function": (
        {"a": conv, "b": conv},
        lambda n, x: n.b(functional.conv2d(x, n.a.weight, padding=1)),
        {},  # it is never called
    ),
    "called, and its weight used": (
        {"a": conv, "b": conv},
        lambda n, x: functional.conv2d(n.b(n.a(x)), n.a.weight, padding=1),
        {"a": OUTSIDE},
    ),
    "only its type is asked": ({"a": conv}, lambda n, x: n.a(x.to(n.a.weight.dtype)), {"a": OUTSIDE}),
    "its bias is added again": ({"a": conv}, lambda n, x: n.a(x) + n.a.bias[:, None, None], {"a": OUTSIDE}),
    "its weight as a matrix": (
        {"a": conv},
        lambda n, x: functional.linear(n.a(x), n.a.weight.flatten()[:12][None]),
        {"a": OUTSIDE},
    ),
    "a transposed convolution by its weight": (
        {"a": conv},
        lambda n, x: functional.conv_transpose2d(n.a(x), n.a.weight, padding=1),
        {"a": OUTSIDE},
    ),
    "a penalty that nobody reads": (
        {"a": conv},
        lambda n, x: (n.a(x), n.a.weight.square().sum())[0],
        {"a": OUTSIDE},
    ),
    "its forward is called": ({"a": conv}, lambda n, x: n.a.forward(n.a(x)), {}),
    "its forward is replaced": ({"a": replaced_forward}, lambda n, x: n.a(x), {"a": "its forward is replaced"}),
    "it is asked for its geometry": (
        {"a": lambda: nn.Conv2d(8, 8, 3)},
        lambda n, x: n.a(functional.pad(x, [n.a.kernel_size[0] // 2 * n.a.dilation[0]] * 4)),
        {},
    ),
    "twice": ({"a": conv}, lambda n, x: n.a(n.a(x)), {}),
    "twice, at two sizes": ({"a": conv}, lambda n, x: functional.interpolate(n.a(x[..., ::2, ::2]), 12) + n.a(x), {}),
    "on four parts of the image": (
        {"a": conv},
        lambda n, x: n.a(x.reshape(8, 4, 36).transpose(0, 1).reshape(4, 8, 6, 6)).reshape(1, 8, 12, 12),
        {},
    ),
    "without a batch": ({"a": conv}, lambda n, x: n.a(x[0])[None], {}),
    "in a list of which one is called": (
        {"all": lambda: nn.ModuleDict({"one": conv(), "other": conv()})},
        lambda n, x: n.all["one"](x),
        {},
    ),
    "in a list of its own": (
        lambda: {"order": [a := conv()], "a": a, "b": conv()},
        called_from_a_list,
        {"a": BYPASSED},
    ),
    "in a list of its own, and by name": (
        lambda: {"order": [a := conv()], "b": a},
        called_from_a_list,
        {"b": BYPASSED},
    ),
    "found by its class": ({"a": conv, "b": conv}, called_as_convolutions, {"a": BYPASSED, "b": BYPASSED}),
    "its answer is thrown away": ({"a": conv, "b": conv}, keep_nothing, {"b": DEAD}),
    "on weights alone": (
        {"a": conv, "kept": lambda: nn.ParameterList([torch.randn(1, *SHAPE)]), "b": conv},
        lambda n, x: n.b(x) + n.a(n.kept[0]),
        {"a": DEAD},
    ),
    "two of one weight": (tied, lambda n, x: n.b(n.a(x)), {"a": "its weight is that of b too", "b": "that of a too"}),
    "its weight is another's too": (
        kernel_of_another,
        lambda n, x: functional.conv2d(n.a(x), n.kernel[0], padding=1),
        {"a": "its weight is that of kernel too"},
    ),
    "weight norm": (
        {"a": lambda: parametrizations.weight_norm(conv())},
        lambda n, x: n.a(x),
        {"a": "ParametrizedConv2d, not a plain Conv2d"},
    ),
    "reflected borders": ({"a": lambda: conv(padding_mode="reflect")}, lambda n, x: n.a(x), {}),
    "grouped and strided": ({"a": lambda: conv(outputs=16, groups=2, stride=2)}, lambda n, x: n.a(x), {}),
    "lazy": ({"a": lambda: nn.LazyConv2d(8, 3)}, lambda n, x: n.a(x), {}),
    "transposed": ({"a": lambda: nn.ConvTranspose2d(8, 8, 3, 2)}, lambda n, x: n.a(x), {}),
    "along one axis": ({"a": lambda: nn.Conv1d(8, 8, 3)}, lambda n, x: n.a(x.flatten(2))[..., None], {}),
    "attention": ({"attention": lambda: nn.MultiheadAttention(8, 2, batch_first=True)}, attention, {}),
    "scaled dot products": ({}, lambda n, x: functional.scaled_dot_product_attention(x, x, x), {}),
    "products of two images": ({}, lambda n, x: (x @ x.transpose(2, 3)).relu() @ x, {}),
    "a product with a vector": (
        {"kept": lambda: nn.ParameterList([torch.randn(12)])},
        lambda n, x: (x @ n.kept[0])[..., None],
        {},
    ),
    "in place": ({"a": conv, "b": conv}, lambda n, x: n.b(n.a(x).relu_().add_(1)).clamp_(0), {}),
}

FOLDED = ("on weights alone",)  # by the simplifier


def made(way):
    parts, run, reasons = WAYS[way]
    parts = parts() if callable(parts) else {name: make() for name, make in parts.items()}
    torch.manual_seed(0)
    return Network(run, **parts), reasons


@pytest.mark.parametrize("way", WAYS)
def test_macs_are_those_of_the_exported_graph(way, tmp_path):
    network = made(way)[0]
    export_onnx(network, torch.randn(1, *SHAPE), tmp_path / "n.onnx", simplify=way in FOLDED)
    assert cost(network, SHAPE).macs == describe(tmp_path / "n.onnx").macs > 0


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_knows_what_cannot_be_taken_out_and_what_the_rest_costs(way):
    network, reasons = made(way)
    observed = observe(network, SHAPE)
    why = {name: reason for name, reason in default_layers(network, observed).items() if reason is not None}
    assert why.keys() == reasons.keys()
    assert all(reason in why[name] for name, reason in reasons.items())
    for name in reasons:
        with pytest.raises(BadInput, match=f"the plan replaces {name}, but"):
            make_plan(network, SHAPE, falcon(**{name: 1}))
    plan = make_plan(network, SHAPE, falcon(**{name: 1 for name in observed.uses if name not in reasons}))
    compressed = surgery.apply(network, plan.replaced)
    found = cost(compressed, SHAPE)
    assert (found.macs, found.parameters) == (plan.planned_macs, plan.planned_parameters)
    assert compressed(torch.zeros(1, *SHAPE)).shape == (1, 3)


def test_the_network_is_left_as_it_was():
    network = made("plain")[0].train()
    attributes, state = dict(vars(network.a)), {name: value.clone() for name, value in network.state_dict().items()}
    observe(network, SHAPE)
    assert type(network.a) is nn.Conv2d
    assert vars(network.a) == attributes
    assert network.training
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    network.run = lambda network, x: network.a(x[:, :3])
    with pytest.raises(RuntimeError, match="channels"):
        observe(network, SHAPE)
    assert type(network.a) is nn.Conv2d
    assert vars(network.a) == attributes


def test_uses_are_pixels_of_all_calls_and_parameters_without_a_use_are_named():
    network = made("twice, at two sizes")[0]
    network.spare = nn.Linear(2, 2)
    observed = observe(network, SHAPE)
    assert observed.uses == {"a": Use(144 + 36, 144 + 36, 144 + 36)}
    assert observed.macs("a") == (144 + 36) * 8 * 8 * 9
    assert observed.unused == ("spare.weight", "spare.bias")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["call", "call again", "weight", "half the size", "branch", "thrown away"]), st.booleans()
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=10)
@given(steps=STEPS)
def test_any_mixture_of_uses(tmp_path_factory, steps):
    def run(network, x):
        for index, (step, first) in enumerate(steps):
            own, other = network.all[0 if first else index], network.all[-1]
            match step:
                case "call" | "twice":
                    x = own(own(x)) if step == "twice" else own(x)
                case "weight":
                    x = functional.conv2d(x, own.weight, padding=1)
                case "half the size":
                    x = own(functional.avg_pool2d(x, 2)) if x.shape[-1] > 3 else own(x)
                case "branch":
                    x = own(x) + other(x)
                case "thrown away":
                    other(x).relu_()
        return x

    torch.manual_seed(0)
    network = Network(run, all=nn.ModuleList(conv() for _ in range(len(steps) + 1)))
    path = tmp_path_factory.mktemp("n") / "n.onnx"
    export_onnx(network, torch.randn(1, *SHAPE), path, simplify=False)
    assert cost(network, SHAPE).macs == describe(path).macs
    observed = observe(network, SHAPE)
    free = falcon(**{name: 2 for name in observed.uses if name not in observed.bound})
    plan = make_plan(network, SHAPE, free)
    found = cost(surgery.apply(network, free), SHAPE)
    assert (found.macs, found.parameters) == (plan.planned_macs, plan.planned_parameters)


# -- places --


def test_places_say_what_stands_around_a_convolution():
    def run(self, x):
        y = functional.relu6(self.norm(self.first(x)))
        z = self.second(y)
        return functional.max_pool2d(functional.relu(z + y), 2) + self.third(z)

    network = Network(
        run, first=conv(), second=conv(), third=nn.Conv2d(8, 8, 1, 2), norm=nn.BatchNorm2d(8), unread=conv()
    )
    found = outlined(network, SHAPE)
    assert found.places == (
        Place("first", 12, 12, of_image=True, clamped=True),
        Place("second", 12, 12, of_image=False, clamped=False),
        Place("third", 12, 12, of_image=False, clamped=False),
    )
    assert outlined(network, SHAPE) == found


def test_an_outline_is_of_operators_and_shapes():
    def built(kernel=3, end=functional.relu):
        layer = nn.Conv2d(8, 8, kernel, padding=kernel // 2)
        return outlined(Network(lambda self, x: end(self.layer(x)), layer=layer), SHAPE).digest

    assert built() == built()
    assert built() != built(end=functional.gelu)


def test_a_convolution_called_twice_has_two_places():
    network = Network(lambda self, x: self.layer(self.layer(x)), layer=conv())
    assert [(place.name, place.of_image) for place in outlined(network, SHAPE).places] == [
        ("layer", True),
        ("layer", False),
    ]
