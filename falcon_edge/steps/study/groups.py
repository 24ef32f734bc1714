"""What cells come to that differ by their seed alone: a mean with its interval."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from scipy.stats import t as student

from falcon_edge.steps.study.cells import STANDARD, SVD, Cell, Structure, longest_trained
from falcon_edge.steps.study.columns import FILES, interval_of
from falcon_edge.steps.study.making import Made, Record
from runtime_bench.stats import Interval

LEVEL = 0.95


@dataclass(frozen=True)
class Group:
    """Cells of one structure, initialisation and budget, and what came of those that are made, by their seeds.

    figures: what was measured, see `table`: latencies of the structure, and accuracies of files of one of these cells.
    """

    cell: Cell
    made: Mapping[int, Record]
    figures: Mapping[str, float]

    def of(self, seeds: Container[int]) -> "Group":
        """What came of some of its seeds."""
        return replace(self, made={seed: record for seed, record in self.made.items() if seed in seeds})

    @property
    def network(self) -> str:
        """The model and its width."""
        return f"{self.cell.model}, width {self.cell.width:g}"

    @property
    def name(self) -> str:
        """Within its network, as in 'falcon-1'."""
        return self.cell.size

    @property
    def top1(self) -> dict[int, float]:
        """A share of the test images, by seed."""
        return {seed: record.made.top1 for seed, record in self.made.items() if record.made is not None}

    @property
    def mean(self) -> float:
        """Of the seeds."""
        return fmean(self.top1.values())

    @property
    def interval(self) -> Interval | None:
        """95%: Student's t over seeds, of one seed the binomial one of its images (Wilson)."""
        values = [*self.top1.values()]
        if len(values) > 1:
            low, high = around(values)
            return max(0.0, low), min(1.0, high)
        return self._first.interval

    @property
    def whose(self) -> str:
        """What the interval is of, in words."""
        count = len(self.made)
        return f"t, {count} seeds" if count > 1 else f"binomial, {self._first.images:,} images"

    @property
    def parameters(self) -> int:
        """Of the first seed's network."""
        return self._first.parameters

    @property
    def macs(self) -> int:
        """Of the first seed's network."""
        return self._first.macs

    @property
    def _first(self) -> Made:
        made = next(iter(self.made.values())).made
        assert made is not None
        return made


def around(values: Sequence[float]) -> Interval:
    """The 95% interval of the mean of two or more values, by Student's t."""
    mean, half = fmean(values), student.ppf((1 + LEVEL) / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return float(mean - half), float(mean + half)


def groups_of(
    cells: Sequence[Cell], records: Mapping[str, Record], figures: Mapping[str, Mapping[str, float]]
) -> tuple[Group, ...]:
    """The groups of what is made, in the study's order."""
    found: dict[tuple[str, float, str, str, int], list[Cell]] = {}
    for cell in cells:
        record = records.get(cell.name)
        if record is not None and record.made is not None:
            found.setdefault(cell.group, []).append(cell)
    measured = {cell.structure: cell for cell in cells if cell.name in figures}
    return tuple(
        Group(each[0], {cell.seed: records[cell.name] for cell in each}, _figures(each, measured, figures))
        for each in found.values()
    )


def _figures(
    cells: Sequence[Cell], measured: Mapping[Structure, Cell], figures: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """What was measured for the cells of a group: their latency is that of any cell of the structure."""
    whose = measured.get(cells[0].structure)
    if whose is None:
        return {}
    own = {name for file in FILES for name in (file.top1, *interval_of(file.top1))}
    return {name: value for name, value in figures[whose.name].items() if whose in cells or name not in own}


def main_groups(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Of every structure one, see `longest_trained`."""
    by_cell = {group.cell.name: group for group in groups}
    return tuple(by_cell[cell.name] for cell in longest_trained(group.cell for group in groups))


@dataclass(frozen=True)
class ModelGroups:
    """The groups of one model at one width."""

    groups: tuple[Group, ...]

    @property
    def name(self) -> str:
        """As its groups say."""
        return self.groups[0].network

    @property
    def standard(self) -> Group | None:
        """The standard network, if one is made."""
        return next((group for group in self.groups if group.cell.kind == STANDARD), None)

    def falcon(self, rank: int, init: str = SVD, epochs: int | None = None) -> Group | None:
        """FALCON at a rank, fitted in closed form, at the longest budget that there is, or after so many epochs."""
        cells = [
            group
            for group in self.groups
            if (group.cell.what, group.cell.kind, group.cell.rank, group.cell.init) == ("falcon", "form", rank, init)
            and epochs in (None, group.cell.epochs)
        ]
        return max(cells, key=lambda group: group.cell.epochs, default=None)


def by_model(groups: Sequence[Group]) -> tuple[ModelGroups, ...]:
    """One a model and width."""
    names = dict.fromkeys(group.network for group in groups)
    return tuple(ModelGroups(tuple(group for group in groups if group.network == name)) for name in names)
