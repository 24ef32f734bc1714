"""falcon-edge plan."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from falcon_edge.cli import options
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.cli.tables import Table

if TYPE_CHECKING:  # rich is imported where it is used: --help must answer at once
    from collections.abc import Mapping

    from falcon_edge.steps.planner import Planned, Planner

By = Literal["latency", "macs", "size"]
Force = Annotated[bool, typer.Option("--force", help="Replace the plans that are there.")]


def plan(
    model: options.Model,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the plans go, a file each.")],
    data: options.Data = None,
    class_map: options.ClassMap = None,
    by: Annotated[By, typer.Option("--by", help="What plans are to save.")] = "latency",
    count: Annotated[int, typer.Option("--count", min=1, help="How many plans, evenly apart in ratio.")] = 20,
    times: options.Times = None,
    runtime: options.TimesRuntime = None,
    precision: options.TimesPrecision = None,
    device: options.TimesDevice = None,
    threads: options.TimesThreads = 1,
    paced: options.Paced = False,
    model_args: options.ModelArgs = None,
    weights: options.Weights = None,
    weights_key: options.WeightsKey = None,
    input_shape: options.Input = None,
    num_classes: options.Classes = None,
    width: options.Width = 1.0,
    mean: options.Mean = None,
    std: options.Std = None,
    trust_code: options.TrustCode = False,
    force: Force = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """The frontier of a network: plans of mixed forms that are predicted to lose least, from dear to cheap."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.documents import canonical_json
        from falcon_edge.errors import BadInput
        from falcon_edge.steps.opening import open_with_data
        from falcon_edge.steps.planner import planner_for
        from runtime_bench.files import check_outputs, write

        if by != "latency" and (paced or any(each is not None for each in (times, runtime, precision, device))):
            raise BadInput("--times, --runtime, --precision, --device and --paced say of what a latency is")
        there = sorted(output.glob("plan-*.json"))
        if there and not force:
            raise BadInput(f"{output}: has plans already; choose another folder, or replace them with --force")
        check_outputs(there or [output / "plan-01.json" if output.exists() else output])
        what = options.latency(times, runtime, precision, device, threads, paced) if by == "latency" else by
        classes = options.class_map(class_map, data)
        choice = options.choice(
            model,
            weights,
            input_shape,
            num_classes,
            width,
            mean,
            std,
            0,
            weights_key,
            model_args=model_args,
            trust_code=trust_code,
        )
        network, dataset = open_with_data(choice, data, classes)
        with out.progress() as progress:
            planner = planner_for(network, dataset, what, progress=progress)
            found = planner.frontier(count)
        output.mkdir(parents=True, exist_ok=True)
        plans = {output / f"plan-{number:02}.json": each for number, each in enumerate(found, start=1)}
        for path, each in plans.items():
            write(canonical_json(each.plan), path)
        for path in set(there) - plans.keys():
            path.unlink()
        out.result([_document(path, each) for path, each in plans.items()], lambda: _shown(planner, plans))


def _document(path: Path, planned: "Planned") -> dict[str, object]:
    return {
        "file": str(path),
        "cost": planned.cost,
        "share": planned.share,
        "loss": planned.loss,
        "bound": planned.bound,
        "width": planned.width,
        "macs": planned.plan.planned_macs,
        "parameters": planned.plan.planned_parameters,
    }


def _shown(planner: "Planner", plans: "Mapping[Path, Planned]") -> Table:
    """A row a plan."""
    table = Table("plan", "predicted", "of the standard", "loss", "MACs", "parameters", "channels", "forms")
    table.add_row("standard", planner.said(planner.standard), "100%", "0", "", "", "100%", "")
    for path, each in plans.items():
        forms = Counter(layer.form for layer in each.plan.layers)
        table.add_row(
            path.name,
            planner.said(each.cost),
            f"{100 * each.share:.3g}%",
            f"{each.loss:.3g}",
            f"{each.plan.planned_macs:,}",
            f"{each.plan.planned_parameters:,}",
            f"{100 * each.width:.3g}%",
            ", ".join(f"{count} {form}" for form, count in forms.most_common()),
        )
    return table
