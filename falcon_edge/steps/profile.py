"""What profiling needs of model files: their operators and prefixes, and convolutions that show the device's peak."""

from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path

from converters.description import Description, Operator
from converters.formats import format_for, source_of
from converters.inspect import SUFFIXES
from converters.inspect_apart import describe_apart
from converters.peak import write_empty_model, write_peak_models
from runtime_bench.bench import Candidate
from runtime_bench.profile import Graph, Node
from runtime_bench.runtimes import runtime_named


def graphs(candidates: Sequence[Candidate]) -> dict[Path, Graph]:
    """The operators of every file that can be looked into, or whose source lies beside it and can."""
    sources = {candidate.path: _source(candidate.path) for candidate in candidates}
    readable = {path: source for path, source in sources.items() if source is not None}
    files = list(dict.fromkeys(readable.values()))
    described = dict(zip(files, describe_apart(files), strict=True))
    return {path: _graph(path, described[source]) for path, source in readable.items()}


def peak_models(candidates: Sequence[Candidate], folder: Path) -> list[Candidate]:
    """Large convolutions for every runtime and precision among the candidates."""
    kinds = {(candidate.runtime, _arithmetic(candidate.precision)) for candidate in candidates}
    return [
        Candidate(model.path, runtime, model.path.stem, suffix[1:], precision, macs=model.macs)
        for runtime, precision in sorted(kinds)
        for suffix in runtime_named(runtime).suffixes[:1]
        for model in write_peak_models(folder, suffix, precision)
    ]


def empty_models(candidates: Sequence[Candidate], folder: Path) -> list[Candidate]:
    """One of next to nothing for every runtime among the candidates."""
    found = []
    for runtime in sorted({candidate.runtime for candidate in candidates}):
        suffix = runtime_named(runtime).suffixes[0]
        found.append(Candidate(write_empty_model(folder, suffix), runtime, "empty", suffix[1:], "fp32"))
    return found


def _arithmetic(precision: str) -> str:
    return "int8" if precision == "int8" else "fp32"  # fp16 files are computed in float32


def _source(path: Path) -> Path | None:
    source = source_of(path)
    return source if source.is_file() else None


def _graph(path: Path, description: Description) -> Graph:
    nodes = tuple(_node(operator, description) for operator in description.operators)
    return Graph(nodes, partial(format_for(path.suffix).prefixes, path) if path.suffix.lower() in SUFFIXES else None)


def _node(operator: Operator, description: Description) -> Node:
    return Node(
        name=operator.name,
        kind=operator.kind,
        reads={name: prod(shape) for name, shape in zip(operator.reads, operator.inputs, strict=True)},
        writes=operator.writes,
        elements=prod(operator.output),
        parameters=operator.parameters,
        macs=operator.macs,
        shape=operator.output,
        dtype=operator.dtype,
        bytes_each=operator.bytes_each,
        form=operator.form,
        channels=operator.channels,
        idle_lanes=operator.idle_lanes,
        flags=description.flags(operator),
    )
