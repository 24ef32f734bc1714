"""Where the time goes, and what holds a model back, as tables for people (rich)."""

from typing import TYPE_CHECKING

from falcon_edge.cli.tables import Table
from runtime_bench import units

if TYPE_CHECKING:  # rich is imported where it is used: --help must answer at once
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Group, RenderableType

    from runtime_bench.results import Entry, Layer, Peaks, Results


def profile_tables(results: "Results") -> "Group":
    """For every profiled entry its layers, beside the standard's where that is known, and what holds it back."""
    from rich.console import Group

    from runtime_bench.compare import standards
    from runtime_bench.why import counted_peaks

    found: list[RenderableType] = []
    peaks = results.peaks or counted_peaks(results.entries)
    if peaks is not None:
        unit = "GMAC/s" if results.peaks is not None else "MACs an instruction"
        reached = ", ".join(f"{value / 1e9:.3g} {unit} in {kind}" for kind, value in peaks.macs_per_second.items())
        if results.peaks is None:
            found.append(f"emulated; the best layers make {reached}")
        else:
            found.append(f"this device reaches {reached}, and copies {peaks.bytes_per_second / 1e9:.0f} GB/s")
        profiled = [
            (entry, standard if standard is not None and standard.profile is not None else entry)
            for entry, standard in zip(results.entries, standards([results]), strict=True)
            if entry.profile is not None
        ]
        beside = [standard for entry, standard in profiled if standard is not entry]
        for entry, standard in profiled:
            if all(entry is not other for other in beside):  # it has its place beside others
                found += _of_entry(entry, standard, peaks)
    return Group(*found)


def _of_entry(entry: "Entry", standard: "Entry", peaks: "Peaks") -> "Iterator[RenderableType]":
    from runtime_bench.why import cold_cost, hindrances

    alone = standard is entry
    yield ""
    yield f"{entry.model.name}, {entry.model.file}" + ("" if alone else f", beside {standard.model.name}")
    yield _layers_table(entry, peaks) if alone else _sections_table(standard, entry, peaks)
    for number, found in enumerate(hindrances(entry, peaks, None if alone else standard), start=1):
        yield f"{number}. {found.kind}: up to {units.percent(found.gain)}. {found.says}"
    for each in (entry,) if alone else (standard, entry):
        cold = cold_cost(each, peaks)
        if cold is not None:
            yield f"{each.model.name}: {cold.says}"


def _layers_table(entry: "Entry", peaks: "Peaks") -> Table:
    assert entry.profile is not None
    table = Table("up to", "operators", _unit(entry), "MACs", "MACs/byte", "of peak", "kernel", "flags")
    for layer in entry.profile.layers:
        figures = _cost([layer]), f"{layer.macs:,}" if layer.macs else "", _intensity([layer])
        reached = _reached([layer], peaks)
        table.add_row(_place(layer), _operators([layer]), *figures, reached, layer.kernel or "", ", ".join(layer.flags))
    return table


def _sections_table(standard: "Entry", compressed: "Entry", peaks: "Peaks") -> Table:
    from runtime_bench.why import paces_of, sections

    unit, ratio = _unit(compressed), "ratio" if compressed.emulated else "speedup"
    table = Table("up to", "operators", unit, ratio, "its forms allow", "MACs ratio", "MACs/byte", "of peak", "kernel")
    paces = paces_of([standard, compressed])
    for section in sections(standard, compressed):
        both = section.standard, section.compressed
        table.add_row(
            _place(section.compressed[-1]),
            _operators(section.compressed),
            _change(*map(_cost, both)),
            units.ratio(section.speedup),
            units.ratio(section.bound(paces)),
            units.ratio(section.macs_ratio),
            _change(*map(_intensity, both)),
            _change(*(_reached(layers, peaks) for layers in both)),
            ", ".join(dict.fromkeys(layer.kernel or "" for layer in section.compressed)),
        )
    return table


def _place(layer: "Layer") -> str:
    """The end of a layer's output."""
    return layer.output.removesuffix(".dequantized").removesuffix("_output_0")


def _change(standard: str, compressed: str) -> str:
    return f"{standard} -> {compressed}" if standard and compressed else standard or compressed


def _unit(entry: "Entry") -> str:
    return "k instructions" if entry.emulated else "us"


def _cost(layers: "Sequence[Layer]") -> str:
    """Thousands of nanoseconds, or of instructions."""
    return f"{sum(layer.cost for layer in layers) / 1e3:.1f}"


def _intensity(layers: "Sequence[Layer]") -> str:
    macs, moved = sum(layer.macs for layer in layers), sum(layer.bytes for layer in layers)
    return f"{macs / moved:.1f}" if macs and moved else ""


def _reached(layers: "Sequence[Layer]", peaks: "Peaks") -> str:
    from runtime_bench.why import peak_share

    return units.percent(peak_share(layers, peaks)) if any(layer.macs for layer in layers) else ""


def _operators(layers: "Iterable[Layer]") -> str:
    """The forms of convolutions, the kinds of other operators; what only changes the type of numbers goes unsaid."""
    names = []
    for layer in layers:
        kinds = [kind for kind in layer.operators if "quantize" not in kind.lower()] or layer.operators[-1:]
        names.append(layer.form or ", ".join(kinds))
    return ", ".join(names)
