"""What reads channels, as matrices of units: channels, or for a linear layer what flattening made of each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import torch
from torch import Tensor, nn

from falcon_edge.falcon.coupling import NORMS, TRANSPOSED, Group, Side
from falcon_edge.falcon.patches import PatchStatistics
from falcon_edge.falcon.statistics import taps_of

Covariances = tuple[Tensor, Tensor]  # (G, M, M) of a reader's units, (G, T, T) of what they consist of
FLOOR = 1e-6  # of the mean variance: what less is left of a unit is rounding
STEPS = 128  # in which the channels of a group are put in order


@dataclass(frozen=True)
class Reader:
    """A module that reads channels.

    kernel: its weights (G, N, M, T), float64: G groups of N outputs and M units of T numbers. places: (G, M, T), where
    on its inputs these are. centred: whether something behind it makes up for a shift of its mean. Of convolutions but
    plain Conv2d every tap is an output of its own: T = 1.
    """

    module: nn.Module
    kernel: Tensor
    places: Tensor
    centred: bool

    def seen(self, x: Tensor) -> Tensor:
        """What it sees of an input: (T, G, M, n)."""
        if type(self.module) is nn.Conv2d:
            return taps_of(self.module, x)
        if isinstance(self.module, nn.Linear):
            return x.flatten(0, -2)[:, self.places[0]].permute(2, 1, 0)[:, None].contiguous()
        return x.transpose(0, 1).flatten(1)[self.places[..., 0]][None].contiguous()

    def covariances(self, statistics: PatchStatistics) -> Covariances:
        """Of what it reads, about the mean only where it is made up for."""
        channels, taps, mean = (each.double() for each in (statistics.channels, statistics.taps, statistics.mean))
        if self.centred:
            return channels, taps
        return channels + mean @ mean.mT, taps + mean.mT @ mean

    @torch.no_grad()
    def load(self, module: nn.Module, kernel: Tensor, shift: Tensor) -> None:
        """Give a module like this one another kernel (G, N, M, T), and add (G, N) to its bias if it has one."""
        weight, bias = cast(Tensor, module.weight), cast(Tensor | None, module.bias)
        if isinstance(module, nn.Linear):
            weight[:, self.places.flatten()] = kernel[0].flatten(1).to(weight.dtype)
        elif type(module) is nn.Conv2d:
            weight.copy_(kernel.flatten(0, 1).unflatten(2, weight.shape[2:]))
        else:
            transposed, sizes = isinstance(module, TRANSPOSED), weight.shape[2:]
            shift = shift.unflatten(1, (-1, sizes.numel())).sum(2)
            taps = kernel[..., 0].unflatten(1, (-1, sizes.numel()))  # (G, N, T, M)
            if transposed:
                shift = shift / prod(cast(tuple[int, ...], module.stride))
                taps = taps.permute(0, 3, 1, 2).flatten(0, 1)
            else:
                taps = taps.permute(0, 1, 3, 2).flatten(0, 1)
            weight.copy_(taps.unflatten(2, sizes))
        if bias is not None:
            bias.add_(shift.flatten())


def readers_of(model: nn.Module, groups: Sequence[Group]) -> dict[str, Reader]:
    """Every module that reads channels, by path, in order of execution."""
    modules = dict(model.named_modules())
    normalised = {
        side
        for group in groups
        if any(isinstance(modules.get(side.name), NORMS) for side in group.positions)
        for side in group.positions
    }
    found: dict[str, Reader] = {}
    for side in dict.fromkeys(side for group in groups for side in group.positions if side.end == "inputs"):
        module = modules[side.name]
        units = [places for group in groups for places in group.positions.get(side, ())]
        centred = module.bias is not None or Side(side.name, "outputs") in normalised
        found[side.name] = _reader(module, units, centred)
    return found


def _reader(module: nn.Module, units: Sequence[tuple[int, ...]], centred: bool) -> Reader:
    """units: of a linear layer, where on its inputs each channel is."""
    weight = cast(Tensor, module.weight).detach().double()
    if isinstance(module, nn.Linear):
        sizes = {len(unit) for unit in units}
        places = torch.tensor(units if len(sizes) == 1 else [[place] for unit in units for place in unit])
        places = places[places[:, 0].argsort()][None].to(weight.device)
        return Reader(module, weight[:, places[0]][None], places, centred)
    groups = cast(int, module.groups)
    if isinstance(module, TRANSPOSED):
        kernel = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(3)
    else:
        kernel = weight.unflatten(0, (groups, -1)).flatten(3)
    if type(module) is not nn.Conv2d:  # one of another kind may pad on its own
        kernel = kernel.transpose(2, 3).flatten(1, 2)[..., None]
    count, taps = kernel.shape[2:]
    places = torch.arange(groups * count, device=weight.device).reshape(groups, count, 1).expand(-1, -1, taps)
    return Reader(module, kernel, places, centred)


class Pairs:
    """Sums over what a reader reads in a network, X, and in one whose earlier layers are changed, Y, in float64."""

    def __init__(self, reader: Reader):
        self.reader, self.count = reader, 0
        self.sums = [torch.zeros_like(reader.kernel[:, 0]) for _ in range(2)]  # (G, M, T)
        self.products = [reader.kernel.new_zeros(*reader.kernel.shape[::2], reader.kernel.shape[2]) for _ in range(2)]

    def add(self, inputs: Tensor, changed: Tensor) -> None:
        """Take in one batch of the reader's input in both."""
        both = [self.reader.seen(x) for x in (inputs, changed)]  # (T, G, M, n)
        self.count += both[0].shape[-1]
        for number, seen in enumerate(both):
            self.sums[number] += seen.sum(-1).permute(1, 2, 0).double()
            for one, other in zip(seen, both[1], strict=True):
                self.products[number] += (one @ other.mT).double()

    def means(self) -> tuple[Tensor, Tensor]:
        """(G, M, T) of X and of Y."""
        first, second = (each / self.count for each in self.sums)
        return first, second

    def covariances(self) -> tuple[Tensor, Tensor]:
        """(G, M, M) of X with Y and of Y with itself, about the means only where the reader makes up for a shift."""
        mean, other = self.means()
        centre = float(self.reader.centred)
        first, second = (each / self.count for each in self.products)
        return first - centre * mean @ other.mT, second - centre * other @ other.mT


def refitted(reader: Reader, gone: Collection[int], pairs: Pairs) -> tuple[Tensor, Tensor]:
    """The kernel (G, N, M, T) that gives the outputs best without some inputs, and (G, N) what their mean loses.

    Least squares, for any covariance of taps: what the weights W give of X, W C, is given by those left for Y, and what
    is missing of it, (W C - W_S A_S) A_S^-1, is added to them. C: the covariance of X with Y; A: of Y.
    """
    fitted, lost = reader.kernel.to("cpu", copy=True), []
    read = [tensor.cpu() for tensor in (*pairs.covariances(), *pairs.means(), reader.places[..., 0])]
    for kernel, cross, own, mean, other, places in zip(fitted, *read, strict=True):
        stays = torch.tensor([place not in gone for place in places.tolist()])
        own = own[stays][:, stays]
        ridge = FLOOR * own.diagonal().mean().clamp(min=torch.finfo(torch.float32).tiny)
        wanted = (kernel * mean).sum((1, 2))
        missing = torch.einsum("nmt,ms->nts", kernel, cross[:, stays]) - kernel[:, stays].mT @ own
        own.diagonal().add_(ridge)
        kernel[:, stays] += torch.linalg.solve(own, missing.flatten(0, 1).mT).mT.unflatten(0, missing.shape[:2]).mT
        kernel[:, ~stays] = 0
        lost.append(wanted - (kernel * other).sum((1, 2)))
    device = reader.kernel.device
    return fitted.to(device), torch.stack(lost).to(device)


@dataclass
class Ranking:
    """Channels of a group, the most wanted first, and the error that each number of them leaves: [n] of n.

    of_readers: the same by reader; `errors` is their sum.
    """

    order: list[int]
    errors: list[float]
    of_readers: dict[str, list[float]]


def ranked(readers: Mapping[str, Reader], group: Group, seen: Mapping[str, Covariances]) -> Ranking:
    """The order in which a group's channels are wanted, one after the other by what their readers gain.

    seen: covariances of the units of every reader, and of what they consist of. What a reader would give is fitted to
    the channels chosen so far by least squares; its error is relative to its output, and errors of readers add up.
    About STEPS steps are made: of a wide group several channels are taken at a time, and errors between them lie on
    a line.
    """
    of = {side.name: _parts(readers, group, side, seen) for side in group.positions if side.end == "inputs"}
    parts = [part for each in of.values() for part in each]
    left, order = set(range(group.channels)), list[int]()
    errors = {name: [sum(part.error() for part in each)] for name, each in of.items()}
    step = max(1, group.channels // STEPS)
    while left:
        gains = sum((part.gains(group.channels) for part in parts), torch.zeros(group.channels, dtype=torch.float64))
        wanted = sorted(left, key=lambda channel: (-float(gains[channel]), channel))[:step]
        for part in parts:
            part.take(wanted)
        for name, each in errors.items():
            before, after = each[-1], sum(part.error() for part in of[name])
            each += [before + (after - before) * taken / len(wanted) for taken in range(1, len(wanted) + 1)]
        order += wanted
        left -= {*wanted}
    total = [max(0.0, sum(each)) for each in zip(*errors.values(), strict=True)] or [0.0] * (group.channels + 1)
    return Ranking(order, total, errors)


class _Part:
    """A group's units in one group of a reader: R, what of their covariance is not explained yet, and V = Q R."""

    def __init__(self, wanted: Tensor, covariance: Tensor, channels: list[int], total: float):
        self.left, self.total = covariance.clone(), total
        self.product = wanted @ covariance
        self.channels = torch.tensor(channels)
        self.units: dict[int, list[int]] = {}
        for unit, channel in enumerate(channels):
            self.units.setdefault(channel, []).append(unit)
        self.floor = FLOOR * float(covariance.diagonal().mean())

    def error(self) -> float:
        """What is missing of the output, relative to all of it."""
        return float(self.product.diagonal().sum()) / self.total

    def gains(self, count: int) -> Tensor:
        """(count,): what each channel would add."""
        own = self.left.diagonal()
        gains = (self.left * self.product.mT).sum(1) / own.clamp(min=self.floor) / self.total
        return torch.zeros(count, dtype=torch.float64).index_add(
            0, self.channels, torch.where(own > self.floor, gains, 0)
        )

    def take(self, channels: Sequence[int]) -> None:
        """Explain what can be explained by channels."""
        units = [unit for channel in channels for unit in self.units.get(channel, ())]
        units = [unit for unit in units if self.left[unit, unit] > self.floor]
        if units:
            columns = self.left[:, units].clone()
            own = columns[units] + self.floor * FLOOR * torch.eye(len(units), dtype=columns.dtype)
            explained = torch.linalg.solve(own, columns.mT)
            self.product -= self.product[:, units] @ explained
            self.left -= columns @ explained


def _parts(readers: Mapping[str, Reader], group: Group, side: Side, seen: Mapping[str, Covariances]) -> list[_Part]:
    reader = readers[side.name]
    channel_at = {place: channel for channel, places in enumerate(group.positions[side]) for place in places}
    parts = []
    rows = [tensor.cpu() for tensor in (reader.kernel, *seen[side.name], reader.places[..., 0])]  # chosen one by one
    for kernel, covariance, taps, places in zip(*rows, strict=True):
        wanted = torch.einsum("nmt,ts,nks->mk", kernel, taps, kernel)
        total = float((wanted * covariance).sum())
        units = [unit for unit, place in enumerate(places.tolist()) if place in channel_at]
        if units and total > 0:
            at = [channel_at[int(places[unit])] for unit in units]
            parts.append(_Part(wanted[units][:, units], covariance[units][:, units], at, total * len(reader.kernel)))
    return parts


def unseen(model: nn.Module, groups: Sequence[Group], readers: Mapping[str, Reader]) -> dict[str, Covariances]:
    """What takes the place of covariances without data: how large each channel is by the weights that make it.

    Its variance is the squared norm of the filters that write it, times the squares of the scales that batch
    normalisation and depthwise convolutions give it; channels do not vary together.
    """
    sizes = {name: torch.ones(reader.places.shape[:2], dtype=torch.float64) for name, reader in readers.items()}
    for group in groups:
        size = _size(model, group)
        for side, positions in group.positions.items():
            if side.end == "inputs":
                of = {place: float(size[channel]) for channel, places in enumerate(positions) for place in places}
                units = readers[side.name].places[..., 0].tolist()
                for row, places in zip(sizes[side.name], units, strict=True):
                    row.copy_(
                        torch.tensor([of.get(place, old) for place, old in zip(places, row.tolist(), strict=True)])
                    )
    found = {}
    for name, reader in readers.items():
        taps = torch.eye(reader.kernel.shape[3], dtype=torch.float64, device=reader.kernel.device)
        found[name] = sizes[name].diag_embed().to(taps.device), taps.expand(len(reader.kernel), -1, -1)
    return found


def _size(model: nn.Module, group: Group) -> Tensor:
    """(channels,): the variance of each channel for inputs without any order; 1 where no weights write it."""
    modules = dict(model.named_modules())
    written, scale = torch.zeros(group.channels).double(), torch.ones(group.channels).double()
    for side, positions in group.positions.items():
        module = modules.get(side.name)
        if side.end == "inputs" or module is None:
            continue
        depthwise = getattr(module, "groups", 1) == getattr(module, "in_channels", 0)
        if isinstance(module, NORMS):
            count = range(module.num_features)
            each = _numbers(module.weight, count) ** 2 / (_numbers(module.running_var, count) + module.eps)
        else:
            weight = cast(Any, module).weight.detach().double().cpu()
            swaps = isinstance(module, TRANSPOSED) and not depthwise
            each = (weight.transpose(0, 1) if swaps else weight).flatten(1).square().sum(1)
        found = torch.stack([each[[place % len(each) for place in places]].mean() for places in positions])
        if depthwise or isinstance(module, NORMS):
            scale *= found
        else:
            written += found
    return scale * (written if bool(written.any()) else 1.0)


def _numbers(tensor: Tensor | None, count: Sequence[int]) -> Tensor:
    """A normalisation's numbers, ones where it has none."""
    return torch.ones(len(count)).double() if tensor is None else tensor.detach().double().cpu()
