"""Write the whole-model tables of docs/method.md: what we count, what the paper counts, and each difference.

And that of docs/units.md: networks of every unit, as we count.

    python tools/cost_tables.py

Everything is computed from the networks themselves, on torch's meta device: shapes without numbers. The paper's
convention differs from ours in four ways, each a column of the table:
  bias additions     the paper counts one MAC for every addition of a bias
  dropped biases     its FALCON has no bias, ours keeps the convolution's on the depthwise part
  unclamped ranks    it gives a layer the rank that was asked for, ours at most the lossless one (3 for an RGB stem)
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from markers import between
from torch import nn

from falcon_edge.falcon import surgery
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.forms import FALCON
from falcon_edge.falcon.forms.form import Replacement
from falcon_edge.falcon.forward import Shape
from falcon_edge.falcon.observe import Use, observe
from falcon_edge.falcon.plan import default_layers
from falcon_edge.falcon.units import UNITS, unit_named
from falcon_edge.falcon.units.placing import places, put
from falcon_edge.models.sources import BUILTIN, build

METHOD, OF_UNITS = (Path(__file__).parents[1] / "docs" / name for name in ("method.md", "units.md"))
NETWORKS = {"vgg19": 4, "resnet34": 4, "vgg16_bn": 3, "resnet18": 3}  # name: highest rank of the paper


@dataclass(frozen=True)
class Counted:
    """Parameters and MACs of one network: ours, what leads to the paper's, and that."""

    name: str
    form: str
    parameters: int
    macs: int
    dropped_biases: int
    bias_additions: int
    unclamped_parameters: int
    unclamped_macs: int

    @property
    def published_parameters(self) -> int:
        """Parameters by the paper's convention."""
        return self.parameters - self.dropped_biases + self.unclamped_parameters

    @property
    def published_macs(self) -> int:
        """MACs by the paper's convention."""
        return self.macs + self.bias_additions + self.unclamped_macs


def rows() -> Iterator[Counted]:
    """Every network: standard, FALCON of every rank, and depthwise separable convolution."""
    for name, highest in NETWORKS.items():
        shape = BUILTIN[name].input_shape
        with torch.device("meta"):
            network = build(name)
        observed = observe(network, shape)
        replaced = [layer for layer, reason in default_layers(network, observed).items() if reason is None]
        yield count(network, shape, name, "standard", unclamped=(0, 0))
        for rank in range(1, highest + 1):
            yield falcon(network, observed.uses, replaced, shape, name, rank)
        if name in ("vgg19", "resnet34"):
            # The paper's figure for VGG19 is that of a network whose RGB stem stays standard.
            inner = replaced[1:] if name == "vgg19" else replaced
            yield count(with_dsconv(name, inner), shape, name, "DSConv", unclamped=(0, 0))


def falcon(
    network: nn.Module,
    uses: dict[str, Use],
    replaced: list[str],
    shape: Shape,
    name: str,
    rank: int,
) -> Counted:
    """FALCON at one rank: counted with our biases and clamped ranks, the differences apart."""
    convs: dict[str, nn.Conv2d] = {layer: network.get_submodule(layer) for layer in replaced}  # type: ignore[misc]
    ranks = {layer: min(rank, FALCON.lossless(conv.weight)[0]) for layer, conv in convs.items()}
    missing = {layer: rank - ranks[layer] for layer in replaced if ranks[layer] < rank}
    unclamped = (
        sum(FALCON.parameters(convs[layer], (more,), biased=False) for layer, more in missing.items()),
        sum(FALCON.macs(convs[layer], (more,), uses[layer]) for layer, more in missing.items()),
    )
    made = surgery.apply(network, {layer: Replacement("falcon", (found,)) for layer, found in ranks.items()}, fit=False)
    dropped = sum(conv.out_channels for conv in convs.values() if conv.bias is not None)
    return count(made, shape, name, f"FALCON k={rank}", unclamped=unclamped, dropped=dropped)


def count(
    network: nn.Module, shape: Shape, name: str, form: str, *, unclamped: tuple[int, int], dropped: int = 0
) -> Counted:
    """Count a network; bias additions are those of layers that keep their bias in the paper."""
    total = cost(network, shape)
    additions = sum(
        prod(layer.output_shape)
        for layer in total.layers
        if network.get_submodule(layer.name).bias is not None and not (dropped and in_falcon(layer.name))
    )
    return Counted(name, form, total.parameters, total.macs, dropped, additions, *unclamped)


def in_falcon(name: str) -> bool:
    """Whether a layer is a part of a FALCON convolution."""
    return re.search(r"\.(depthwise|pointwise)\.\d+$", name) is not None


def with_dsconv(name: str, replaced: list[str]) -> nn.Module:
    """The network with depthwise separable convolutions, which have no bias."""
    with torch.device("meta"):
        network = build(name)
    for layer in replaced:
        network.get_submodule(layer).register_parameter("bias", None)
    return put(network, replaced, unit_named("dsconv"))


def tables() -> str:
    """The two tables in Markdown."""
    lines = [
        "| network | form | parameters, ours | dropped biases | unclamped ranks | the paper's convention |",
        "|---|---|---|---|---|---|",
    ]
    counted = list(rows())
    for row in counted:
        dropped, unclamped = change(-row.dropped_biases), change(row.unclamped_parameters)
        lines.append(
            f"| {row.name} | {row.form} | {row.parameters:,} | {dropped} | {unclamped} "
            f"| {row.published_parameters / 1e6:.2f} M |"
        )
    lines += [
        "",
        "| network | form | MACs, ours | bias additions | unclamped ranks | the paper's convention |",
        "|---|---|---|---|---|---|",
    ]
    for row in counted:
        additions, unclamped = change(row.bias_additions), change(row.unclamped_macs)
        lines.append(
            f"| {row.name} | {row.form} | {row.macs:,} | {additions} | {unclamped} | {row.published_macs / 1e6:.2f} M |"
        )
    return "\n".join(lines)


def change(amount: int) -> str:
    """A difference with its sign; nothing for none."""
    return f"{amount:+,}" if amount else ""


def units_table() -> str:
    """Networks of every unit with its default options, in Markdown: millions of parameters and MACs, as we count."""
    heads = " | ".join(f"{name}: parameters | MACs" for name in NETWORKS)
    lines = [f"| unit | {heads} |", "|---" * (1 + 2 * len(NETWORKS)) + "|"]
    for unit in (None, *UNITS):
        figures = []
        for name in NETWORKS:
            total = cost(with_unit(name, unit), BUILTIN[name].input_shape)
            figures += [f"{total.parameters / 1e6:.2f} M", f"{total.macs / 1e6:,.2f} M"]
        lines.append(f"| {'standard' if unit is None else f'`{unit}`'} | {' | '.join(figures)} |")
    return "\n".join(lines)


def with_unit(name: str, unit: str | None) -> nn.Module:
    """A network of a unit, or the standard one."""
    with torch.device("meta"):
        network = build(name)
    if unit is None:
        return network
    made = unit_named(unit)
    return put(network, places(network, BUILTIN[name].input_shape, made).layers, made)


def with_tables(text: str, made: Callable[[], str] = tables) -> str:
    """The document with fresh tables between its markers."""
    return between(text, "costs", made())


if __name__ == "__main__":
    for document, made in ((METHOD, tables), (OF_UNITS, units_table)):
        document.write_text(with_tables(document.read_text(), made))
        print(f"{document.name}: tables written")
