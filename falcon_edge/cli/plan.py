"""falcon-edge plan."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from falcon_edge.cli import options
from falcon_edge.cli.compress import OWN
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import OF_LATENCY, Images, OfLatency, Source
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.cli.tables import Table

if TYPE_CHECKING:  # rich is imported where it is used: --help must answer at once
    from falcon_edge.steps.planning.frontier import Frontier
    from falcon_edge.steps.planning.frontier_page import Shown
    from falcon_edge.steps.planning.planner import Planned, Planner
    from falcon_edge.steps.planning.trial import Figure, Outcome

By = Literal["latency", "macs", "size"]
Force = Annotated[bool, typer.Option("--force", help="Replace the plans that are there.")]


@grouped
def plan(
    *,
    model: options.Model,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the plans go, a file each.")],
    images: Images,
    by: Annotated[By, typer.Option("--by", help="What plans are to save.")] = "latency",
    count: Annotated[int, typer.Option("--count", min=1, help="How many plans, evenly apart in ratio.")] = 20,
    down_to: Annotated[
        float, typer.Option("--down-to", metavar="SHARE", help="What the cheapest of them costs of the standard.")
    ] = 0.05,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="A page with the plot, and every layer's reason.")
    ] = None,
    verify: Annotated[
        int | None,
        typer.Option("--verify", metavar="N", min=1, help="Tune N of the plans briefly, export and measure them."),
    ] = None,
    finetune_epochs: Annotated[int, typer.Option("--finetune-epochs", min=0, help="Of each plan of --verify.")] = 1,
    timed: OfLatency,
    source: Source,
    seed: options.Seed = 0,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """The frontier of a network: plans of mixed forms that are predicted to lose least, from dear to cheap."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.errors import BadInput
        from falcon_edge.steps.planning.frontier import Verified, write_frontier
        from falcon_edge.training.recipe import recipe_of

        if by != "latency" and timed.said:
            raise BadInput(f"{OF_LATENCY} say of what a latency is")
        recipe = recipe_of(OWN | {"epochs": finetune_epochs, "find_rate": True, "seed": seed})
        with out.progress() as progress:
            found = write_frontier(
                *(source.choice(model, seed), images.data, output),
                what=timed.latency() if by == "latency" else by,
                class_map=images.classes(),
                count=count,
                down_to=down_to,
                report=report,
                verified=None if verify is None else Verified(verify, recipe),
                metric=images.metric,
                force=force,
                progress=progress,
            )
        out.result([_document(output, each) for each in found.plans], lambda: _table(found))


def _document(output: Path, shown: "Shown") -> dict[str, object]:
    """For --json."""
    planned = shown.planned
    found: dict[str, object] = {
        "file": str(output / shown.name),
        "cost": planned.cost,
        "share": planned.share,
        "loss": planned.loss,
        "bound": planned.bound,
        "width": planned.width,
        "macs": planned.plan.planned_macs,
        "parameters": planned.plan.planned_parameters,
    }
    return found if shown.outcome is None else {**found, "measured": asdict(shown.outcome)}


def _table(frontier: "Frontier") -> Table:
    """A row a plan; the standard network and FALCON everywhere beside them."""
    planner, plans = frontier.planner, frontier.plans
    measured = any(each.outcome is not None for each in plans)
    headings = ("predicted", "of the standard", "loss", "MACs", "parameters", "channels", "forms")
    table = Table("plan", *headings, *(("measured", "lost") if measured else ()))
    blank = ("", "") if measured else ()
    table.add_row("standard", planner.said(planner.standard), "100%", "0", "", "", "100%", "", *blank)
    for each in (*plans, *frontier.rivals):
        table.add_row(each.name, *_cells(planner, each.planned), *(_measured(each.outcome) if measured else ()))
    return table


def _cells(planner: "Planner", planned: "Planned") -> tuple[str, ...]:
    forms = Counter(layer.form for layer in planned.plan.layers)
    return (
        planner.said(planned.cost),
        f"{100 * planned.share:.3g}%",
        f"{planned.loss:.3g}",
        f"{planned.plan.planned_macs:,}",
        f"{planned.plan.planned_parameters:,}",
        f"{100 * planned.width:.3g}%",
        ", ".join(f"{count} {form}" for form, count in forms.most_common()),
    )


def _measured(outcome: "Outcome | None") -> tuple[str, str]:
    """The share of the standard network's latency, and what was lost, with intervals."""
    if outcome is None:
        return "", ""
    share = "" if outcome.share is None else _with_ends(outcome.share, 100, "%")
    return share, _with_ends(outcome.drop, 1, f" {outcome.drop.unit}")


def _with_ends(figure: "Figure", times: float, unit: str) -> str:
    ends = "" if figure.interval is None else " ({:.3g} to {:.3g})".format(*(times * end for end in figure.interval))
    return f"{times * figure.value:.3g}{ends}{unit}"
