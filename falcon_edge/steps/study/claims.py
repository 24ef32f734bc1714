"""What the FALCON paper claims, and what a study found: each a line with numbers and a word."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from falcon_edge.steps.study.groups import Group, ModelGroups, around, main_groups
from runtime_bench.stats import Interval

Word = Literal["holds", "does not hold", "not measured"]
# FALCON paper, section 4: "up to" 8 times fewer parameters and MACs in VGG19, and fewer MACs less in ResNet34, whose
# strided layers gain less; what is asked is a bit below its figures. Accuracy in shares.
FEWER_PARAMETERS, FEWER_MACS = 7.0, {"resnet34": 5.0}
LOST = 0.003
RANKS = 2, 3
RANDOM = "random"
AHEAD = "is ahead of every other form and unit at its MACs (FALCON-branch, its own, apart)"


@dataclass(frozen=True)
class Claim:
    """What is claimed of a network, what was found, and whether that is so: by the means, whose intervals are said."""

    network: str
    claimed: str
    says: str
    word: Word


def claims_of(networks: Sequence[ModelGroups]) -> tuple[Claim, ...]:
    """All claims, network by network."""
    return tuple(claim for network in networks for claim in _of(network))


def _of(network: ModelGroups) -> Iterator[Claim]:
    yield _smaller(network)
    yield from _ahead(network)
    yield _at_or_above(network)
    yield from _begins_better(network)


def _smaller(network: ModelGroups) -> Claim:
    fewer_macs = FEWER_MACS.get(network.groups[0].cell.model, FEWER_PARAMETERS)
    claimed = (
        f"rank 1 has at least {FEWER_PARAMETERS:g} times fewer parameters and {fewer_macs:g} times fewer MACs, and "
        f"loses at most {100 * LOST:g} points"
    )
    standard, falcon = network.standard, network.falcon(1)
    if standard is None or falcon is None:
        return _unknown(network, claimed)
    parameters, macs = standard.parameters / falcon.parameters, standard.macs / falcon.macs
    ahead = difference(falcon, standard)[0]
    says = f"{parameters:.2f} times fewer parameters, {macs:.2f} times fewer MACs, {_points(falcon, standard)}"
    return _found(network, claimed, says, parameters >= FEWER_PARAMETERS and macs >= fewer_macs and ahead >= -LOST)


def _ahead(network: ModelGroups) -> Iterator[Claim]:
    """Of every other at the same MACs, by the form and rank that these are of."""
    rivals = [group for group in main_groups(network.groups) if group.cell.macs_of is not None]
    if not rivals:
        yield _unknown(network, f"FALCON {AHEAD}")
    for macs_of in dict.fromkeys(group.cell.macs_of for group in rivals):
        form, _, rank = str(macs_of).rpartition("-")
        if form != "falcon":
            continue
        claimed = f"rank {rank} {AHEAD}"
        falcon = network.falcon(int(rank))
        if falcon is None:
            yield _unknown(network, claimed)
            continue
        others = [
            group for group in rivals if group.cell.macs_of == macs_of and not group.cell.what.startswith("falcon")
        ]
        says = "; ".join(
            f"{_points(falcon, group)} of {group.name} ({group.macs / falcon.macs:.2f} of the MACs)" for group in others
        )
        if others:
            yield _found(network, claimed, says, all(difference(falcon, group)[0] > 0 for group in others))


def _at_or_above(network: ModelGroups) -> Claim:
    claimed = "rank 2 or 3 is at or above the standard network"
    standard = network.standard
    found = [(rank, group) for rank in RANKS if (group := network.falcon(rank)) is not None]
    if standard is None or not found:
        return _unknown(network, claimed)
    says = "; ".join(f"at rank {rank} {_points(group, standard)}" for rank, group in found)
    return _found(network, claimed, says, any(difference(group, standard)[0] >= 0 for _, group in found))


def _begins_better(network: ModelGroups) -> Iterator[Claim]:
    """At the shortest budget that both were tuned for."""
    begun = [group for group in network.groups if group.cell.init == RANDOM and group.cell.what == "falcon"]
    ranks = sorted({group.cell.rank for group in begun if group.cell.rank is not None})
    pairs: list[tuple[int, Group, Group]] = []
    for rank in ranks:
        both = [(network.falcon(rank, epochs=group.cell.epochs), group) for group in begun if group.cell.rank == rank]
        known = [(fitted, random) for fitted, random in both if fitted is not None]
        if known:
            pairs.append((rank, *min(known, key=lambda pair: pair[1].cell.epochs)))
    claimed = "begun by the SVD it is ahead of random weights after a short tuning"
    if not pairs:
        yield _unknown(network, claimed)
        return
    said = (f"at rank {rank} after {_epochs(random)} {_points(fitted, random)}" for rank, fitted, random in pairs)
    ahead = all(difference(fitted, random)[0] > 0 for _, fitted, random in pairs)
    yield _found(network, claimed, "; ".join(said), ahead)


def _epochs(group: Group) -> str:
    return f"{group.cell.epochs} epoch{'' if group.cell.epochs == 1 else 's'}"


def difference(one: Group, other: Group) -> tuple[float, Interval | None, str]:
    """How far one is ahead of another, its 95% interval, and what that is of.

    Of the seeds that both have, if there are any, else of all. The interval is of two or more shared seeds Student's t
    of the differences seed by seed; else it has the halves of both intervals, of these seeds, squared and added.
    """
    shared = one.top1.keys() & other.top1.keys()
    if len(shared) > 1:
        differences = [one.top1[seed] - other.top1[seed] for seed in sorted(shared)]
        return fmean(differences), around(differences), "t, by seed"
    if shared:
        one, other = one.of(shared), other.of(shared)
    ahead = one.mean - other.mean
    if one.interval is None or other.interval is None:
        return ahead, None, ""
    half = math.hypot(*((high - low) / 2 for low, high in (one.interval, other.interval)))
    return (
        ahead,
        (ahead - half, ahead + half),
        f"{one.whose}, and {other.whose}" if one.whose != other.whose else one.whose,
    )


def _points(one: Group, other: Group) -> str:
    """As in '+0.31 points (-0.10..+0.72; t, by seed)'."""
    ahead, interval, whose = difference(one, other)
    within = "" if interval is None else f" ({100 * interval[0]:+.2f}..{100 * interval[1]:+.2f}; {whose})"
    return f"{100 * ahead:+.2f} points{within}"


def _found(network: ModelGroups, claimed: str, says: str, so: bool) -> Claim:
    return Claim(network.name, claimed, says, "holds" if so else "does not hold")


def _unknown(network: ModelGroups, claimed: str) -> Claim:
    return Claim(network.name, claimed, "", "not measured")
