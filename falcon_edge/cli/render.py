"""Results as tables for people (rich)."""

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from falcon_edge.bundle import Manifest
    from falcon_edge.falcon.plan import Plan


def manifest_table(manifest: "Manifest") -> Table:
    """What a bundle is, in a few lines."""
    table = Table(show_header=False, title=f"{manifest.name}.falcon", title_justify="left")
    table.add_row("network", manifest.architecture.source)
    lineage = manifest.lineage
    table.add_row("role", lineage.role + (f" from {lineage.parent.name}" if lineage.parent else ""))
    table.add_row("input", "x".join(map(str, manifest.input.shape)))
    table.add_row("classes", str(len(manifest.labels)))
    table.add_row("parameters", f"{manifest.parameters:,}")
    table.add_row("MACs", f"{manifest.macs:,}")
    for measured in manifest.accuracy:
        place = f"{measured.samples:,} {measured.split} images of {measured.data}"
        table.add_row("top-1", f"{100 * measured.top1:.2f}% on {place}")
    for export in manifest.exports:
        snr = "identical" if export.parity.snr_db is None else f"{export.parity.snr_db:.0f} dB"
        table.add_row(export.file, f"against {export.parity.against}: {snr} over {export.parity.samples} inputs")
    return table


def plan_table(plan: "Plan") -> Table:
    """Every layer of a plan, and the totals of the network."""
    table = Table("layer", "kernel", "action", "MACs", "planned", "error", "reason")
    for layer in plan.layers:
        table.add_row(
            layer.name,
            "x".join(map(str, layer.kernel)),
            "keep" if layer.rank is None else f"FALCON k={layer.rank}",
            f"{layer.macs:,}",
            f"{layer.planned_macs:,}",
            "" if layer.error is None else f"{layer.error:.3f}",
            layer.reason,
        )
    table.add_section()
    ratio = f"{plan.macs / plan.planned_macs:.2f}x fewer MACs"
    parameters = f"{plan.parameters:,} -> {plan.planned_parameters:,} parameters"
    table.add_row("network", "", "", f"{plan.macs:,}", f"{plan.planned_macs:,}", "", f"{ratio}, {parameters}")
    return table
