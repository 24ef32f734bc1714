"""The columns of study.csv that are measured, by the file of a cell that they are of."""

from typing import NamedTuple

from falcon_edge.steps.study.making import TOP1
from runtime_bench.ways import APART, BACK_TO_BACK


class File(NamedTuple):
    """One of the files that every measured cell is exported to, by what runs it."""

    runtime: str
    precision: str

    def latency(self, way: str = BACK_TO_BACK) -> str:
        """Of its p50, in microseconds."""
        return " ".join([*self, *([] if way == BACK_TO_BACK else [way]), "us"])

    @property
    def top1(self) -> str:
        """Of its accuracy, a share of the test images."""
        return f"{self.runtime} {self.precision} {TOP1}"

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them, each with its interval."""
        figures = (*(self.latency(way) for way in (BACK_TO_BACK, *APART)), self.top1)
        return tuple(name for figure in figures for name in (figure, *interval_of(figure)))


FILES = tuple(File(runtime, precision) for runtime in ("onnxruntime", "litert") for precision in ("fp32", "int8"))


def interval_of(column: str) -> tuple[str, str]:
    """The columns of a figure's 95% interval."""
    return f"{column} low", f"{column} high"
