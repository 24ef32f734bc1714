"""A frontier as one HTML page: plans by what they cost and lose, and for every layer of each the reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from falcon_edge.network import Network
from falcon_edge.steps.planning.planner import Planned, Planner
from falcon_edge.steps.planning.trial import Outcome
from runtime_bench.report import page
from runtime_bench.report.contents import Report, Section
from runtime_bench.report.figures import BESIDE, CLOUD, Figure
from runtime_bench.report.headline import Headline
from runtime_bench.report.marks import ACCENT, FAINT, GREY, INK, Mark, axis, interval, line, logarithmic, points
from runtime_bench.report.tables import Cell, Table


@dataclass(frozen=True)
class Shown:
    """A plan by name, and what was measured of it, if anything was."""

    name: str
    planned: Planned
    outcome: Outcome | None = None


def frontier_page(network: Network, planner: Planner, plans: Sequence[Shown], rivals: Sequence[Shown]) -> str:
    """The page. rivals: FALCON in every layer, beside the plans."""
    says = f"{network}: {len(plans)} plans from {planner.said(planner.standard)} down"
    headline = Headline(f"predicted {planner.unit}", says, ())
    sections = [_predicted(planner, plans, rivals)]
    if any(each.outcome is not None for each in plans):
        sections.append(_measured(plans))
    sections.append(_reasons(plans))
    return page.html(Report((headline,), (), tuple(sections)))


def _predicted(planner: Planner, plans: Sequence[Shown], rivals: Sequence[Shown]) -> Section:
    """What plans are predicted to cost and lose."""
    data: list[Mark] = [line([each.planned.share for each in plans], [each.planned.loss for each in plans], FAINT)]
    data.append(_cloud("plans", plans, planner, ACCENT))
    if rivals:
        data.append(_cloud("FALCON in every layer", rivals, planner, GREY))
    shares = [each.planned.share for each in (*plans, *rivals)]
    layout = BESIDE | {
        "xaxis": logarithmic(min(shares), 1.0, "", f"of the standard network's {planner.unit}"),
        "yaxis": axis("", "predicted loss"),
    }
    figure = Figure(
        "frontier", "Down and to the left is better: cheaper, and less predicted loss.", CLOUD, data, layout
    )
    columns = ("plan", "predicted", "of the standard", "loss", "no plan below", "channels", "MACs", "parameters")
    rows = tuple(
        (
            Cell(each.name),
            Cell(planner.said(each.planned.cost), each.planned.cost),
            Cell(f"{100 * each.planned.share:.3g}%", each.planned.share),
            Cell(f"{each.planned.loss:.3g}", each.planned.loss),
            Cell(f"{each.planned.bound:.3g}", each.planned.bound),
            Cell(f"{100 * each.planned.width:.3g}%", each.planned.width),
            Cell(f"{each.planned.plan.planned_macs:,}", each.planned.plan.planned_macs),
            Cell(f"{each.planned.plan.planned_parameters:,}", each.planned.plan.planned_parameters),
        )
        for each in (*plans, *rivals)
    )
    says = (
        "The loss has no unit: it puts plans in order by what is expected to be lost once they are tuned. Each plan is "
        "the one that loses least at its cost, of all forms and widths that were offered."
    )
    return Section("plans", "Plans", says, (figure,), (Table("Plans", columns, rows),))


def _cloud(name: str, shown: Sequence[Shown], planner: Planner, colour: str) -> Mark:
    words = [(each.name, planner.said(each.planned.cost), f"loss {each.planned.loss:.3g}") for each in shown]
    x, y = [each.planned.share for each in shown], [each.planned.loss for each in shown]
    return points(name, x, y, words, color=colour, size=9)


def _measured(plans: Sequence[Shown]) -> Section:
    """What some of them turned out to cost and lose."""
    known = [(each, each.outcome) for each in plans if each.outcome is not None]
    costs = [each.planned.share if found.share is None else found.share.value for each, found in known]
    drops = [found.drop.value for _, found in known]
    words = [(each.name, f"{found.drop.value:.3g} {found.drop.unit} lost") for each, found in known]
    mark = points("measured", costs, drops, words, color=INK, size=9)
    if all(found.drop.interval for _, found in known):
        ends = [found.drop.interval for _, found in known if found.drop.interval is not None]
        mark["error_y"] = interval(drops, ends, INK, 1)
    drop = known[0][1].drop
    layout = BESIDE | {
        "xaxis": logarithmic(min(costs), max(*costs, 1.0), "", "of the standard network's, measured"),
        "yaxis": axis("", f"lost, {drop.unit} by {drop.metric}"),
    }
    figure = Figure("verified", "Tuned briefly, exported and measured; bars are 95% intervals.", CLOUD, [mark], layout)
    rows = tuple(
        (
            Cell(each.name),
            Cell(f"{100 * each.planned.share:.3g}%", each.planned.share),
            Cell("" if found.share is None else f"{100 * found.share.value:.3g}%", cost),
            Cell(f"{each.planned.loss:.3g}", each.planned.loss),
            Cell(f"{found.drop.value:.3g} {found.drop.unit}", found.drop.value),
        )
        for (each, found), cost in zip(known, costs, strict=True)
    )
    columns = ("plan", "predicted, of the standard", "measured", "predicted loss", f"lost by {drop.metric}")
    says = "What some of the plans cost and lose, each beside what was predicted."
    return Section("verified", "Verified", says, (figure,), (Table("Verified plans", columns, rows),))


def _reasons(plans: Sequence[Shown]) -> Section:
    """For every layer of every plan the form, what it costs and loses, and what came second."""
    columns = ("layer", "form", "sizes", "reason")
    tables = tuple(
        Table(
            each.name,
            columns,
            tuple((Cell(layer.name), Cell(layer.form), Cell(layer.size), Cell(layer.reason)) for layer in layers),
            folded=True,
        )
        for each in plans
        if (layers := each.planned.plan.layers)
    )
    says = "What each layer costs beside what it costs as it is, what that loses, and the best offer of another form."
    return Section("reasons", "Reasons", says, (), tables)
