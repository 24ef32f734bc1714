"""Bundles, plans, devices, findings and model files as tables for people (rich)."""

import json
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from falcon_edge.cli.tables import Table
from runtime_bench import units
from runtime_bench.ways import APART

if TYPE_CHECKING:  # rich is imported where it is used: --help must answer at once
    from collections.abc import Sequence

    from rich.console import Group, RenderableType

    from converters.description import Description
    from falcon_edge.falcon.plan import Plan
    from falcon_edge.manifest import Manifest, MeasuredParity
    from runtime_bench.calibration import Calibration
    from runtime_bench.devices.survey import State
    from runtime_bench.regression import Finding


# What runs files on a phone, in words.
WAYS = {"app": "the demo app", "app_process": "app_process, without an app", "python": "its Python"}


def manifest_table(manifest: "Manifest") -> Table:
    """What a bundle is, in a few lines."""
    table = Table("what", "says", name=f"{manifest.name}.falcon", heading=False)
    architecture = manifest.architecture
    given = ", ".join(f"{name}={json.dumps(value)}" for name, value in architecture.model_args.items())
    table.add_row("network", architecture.source + (f"({given})" if given else ""))
    unit = architecture.unit
    if unit is not None:
        options = ", ".join(f"{name} {value}" for name, value in unit.options.items())
        table.add_row("unit", f"{unit.name}{f' ({options})' if options else ''} in {len(unit.layers)} layers")
    lineage = manifest.lineage
    table.add_row("role", lineage.role + (f" from {lineage.parent.name}" if lineage.parent else ""))
    steps = (step.verb + (f" on {step.data}" if step.data else "") for step in lineage.steps)
    table.add_row("made by", ", ".join(steps))
    table.add_row("input", "x".join(map(str, manifest.input.shape)))
    outputs = (f"{each.name} {'x'.join(map(str, each.shape)) or 'a number'}" for each in manifest.outputs)
    table.add_row("outputs", ", ".join(outputs))
    if manifest.labels:
        table.add_row("classes", str(len(manifest.labels)))
    table.add_row("parameters", f"{manifest.parameters:,}")
    table.add_row("MACs", f"{manifest.macs:,}")
    for measured in manifest.quality:
        place = f"{measured.samples:,} {measured.split} images of {measured.data}"
        table.add_row(units.metric(measured.metric), f"{units.measure(measured.value, measured.unit)} on {place}")
    for export in manifest.exports:
        several = len(export.parity) > 1
        for number, parity in enumerate(export.parity):
            said = f"{parity.output} " if several else ""
            said += f"{_differs(parity)} over {parity.samples} inputs"
            loss = export.loss[number] if export.loss else None
            if loss is not None and loss.against != parity.against:
                said += f"; {_differs(loss)}"
            table.add_row("" if number else export.file, said)
        for warning in export.warnings:
            table.add_row("", f"warning: {warning}")
    return table


def _differs(parity: "MeasuredParity") -> str:
    return f"against {parity.against}: {'identical' if parity.snr_db is None else f'{parity.snr_db:.0f} dB'}"


def plan_table(plan: "Plan") -> "Group":
    """Every layer of a plan, and the totals of the network."""
    from rich.console import Group

    table = Table("layer", "kernel", "form", "MACs", "planned", "error", "reason")
    for layer in plan.layers:
        table.add_row(
            layer.name,
            "x".join(map(str, layer.kernel)),
            f"{layer.form} {layer.size}".strip(),
            f"{layer.macs:,}",
            f"{layer.planned_macs:,}",
            "" if layer.error is None else f"{layer.error:.3f}",
            layer.reason,
        )
    ratio = f"{plan.macs / plan.planned_macs:.2f}x fewer"
    coupled = Table("channels of", "", "stay", "reason")
    for group in plan.coupled:
        first, *others = [side.name for side in group.sides if side.end == "outputs"] or [group.sides[0].name]
        coupled.add_row(
            f"{first} and {len(others)} more" if others else first,
            f"{group.channels:,}",
            f"{group.planned_channels:,}",
            group.reason,
        )
    return Group(
        *((table, coupled) if plan.coupled else (table,)),
        f"network: {plan.macs:,} -> {plan.planned_macs:,} MACs, {ratio}; "
        f"{plan.parameters:,} -> {plan.planned_parameters:,} parameters",
    )


def devices_table(states: "Sequence[State]") -> Table:
    """Every device: what it is, or what is missing and what to do about it."""
    table = Table("device", "state", "", "what to do")
    for state in states:
        table.add_row(state.name, "ready" if state.ready else "not ready", state.says, state.remedy or "")
        for way in state.ways:
            table.add_row("", "not ready" if way.lacks else "ready", f"by {WAYS[way.runner]}", way.lacks or "")
    return table


def calibration_table(calibration: "Calibration") -> "Group":
    """What a cycle and a miss cost on a board, and how far that was off files that it had not seen."""
    from rich.console import Group

    table = Table("what is counted", "cycles of the board each", "with one file left out")
    for words, found in calibration.coefficients.items():
        table.add_row(words, f"{found.value:.3g}", f"{found.low:.3g} to {found.high:.3g}")
    files = units.count(len(calibration.observations), "file")
    median, largest = (f"{100 * error:.1f}%" for error in (calibration.median_error, calibration.largest_error))
    return Group(
        f"{calibration.board} ({calibration.board_cpu or 'unknown'}) at {calibration.mhz:.0f} MHz: {calibration.cpu}",
        table,
        f"without a file, it is off that file by {median} (median of {files}), and {largest} at most",
    )


def findings_table(
    verdict: str | None, findings: "Sequence[Finding]", tolerances: object, measured: str | None
) -> "Group":
    """What check found, a table for each file under what it was compared with, and the verdict.

    Above all of them stands how much worse each figure may be, and how it was measured.
    """
    from rich.console import Group

    parts: list[RenderableType] = [f"allowed to be worse by: {tolerances}"]
    parts += [] if measured is None else [f"measured: {measured}"]
    for compared, found in groupby(findings, key=lambda finding: finding.compared):
        table = Table("figure", "baseline", "new", "worse by", "verdict")
        for finding in found:
            old, new = (_figure(finding, value) for value in (finding.old, finding.new))
            table.add_row(finding.figure, old, new, finding.says, finding.word)
        parts += [compared, table]
    return Group(*parts, verdict or "no verdict")


def _figure(finding: "Finding", value: float | None) -> str:
    kind = finding.figure.partition(" over ")[0]  # as in "latency over 30 commits"
    if value is None:
        return ""
    if finding.unit is not None:
        return units.measure(value, finding.unit)
    if kind in ("latency", *APART):
        return units.milliseconds(value)
    return units.megabytes(int(value)) if kind in ("memory", "size") else f"{value:,.0f}"


def description_table(name: str, description: "Description", *, operators: bool = True) -> "Group":
    """A model file: its inputs and outputs, its operators one by one or only how many of each, its totals."""
    from rich.console import Group

    inputs = ", ".join(f"{value.name} {_shape(value.shape)} {value.dtype}" for value in description.inputs)
    outputs = ", ".join(f"{value.name} {_shape(value.shape)} {value.dtype}" for value in description.outputs)
    title = f"{name}: {inputs} -> {outputs}"
    totals = f"{units.megabytes(description.bytes)}, {description.macs:,} MACs, {description.parameters:,} parameters"
    if description.card is not None:
        lineage = description.card.get("lineage", {})
        parent = lineage.get("parent") or {}
        totals += f"; {description.card.get('name')}, {lineage.get('role')}"
        totals += f" from {parent['name']}" if parent.get("name") else ""
    slow = Counter(flag for operator in description.operators for flag in description.flags(operator))
    totals += f"; slow: {', '.join(f'{count} {flag}' for flag, count in slow.items())}" if slow else ""
    moves = [_transposes_table(description)] if description.transposes else []
    if not operators:
        table = Table("operator", "count")
        for kind, count in description.counts.items():
            table.add_row(kind, str(count))
        return Group(title, table, *moves, totals)
    columns = "inputs", "output", "precision", "MACs", "bytes", "MACs/byte", "fused", "slow"
    table = Table("operator", "name", *columns, keys=2)
    for operator in description.operators:
        table.add_row(
            operator.kind,
            operator.name,
            " ".join(map(_shape, operator.inputs)),
            _shape(operator.output),
            operator.dtype,
            f"{operator.macs:,}" if operator.macs else "",
            f"{operator.bytes:,}",
            f"{operator.macs / operator.bytes:.1f}" if operator.macs else "",
            operator.activation or "",
            ", ".join(description.flags(operator)),
        )
    return Group(title, table, *moves, totals)


def _transposes_table(description: "Description") -> Table:
    table = Table("transpose", "from", "to", "bytes moved")
    for move in description.transposes:
        table.add_row(move.name, _shape(move.input), _shape(move.output), f"{move.bytes:,}")
    return table


def _shape(shape: "tuple[int, ...]") -> str:
    return "x".join(map(str, shape))
