"""falcon-edge compress."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from falcon_edge.cli import completion, options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import OF_LATENCY, Images, OfLatency, Source, Training
from falcon_edge.cli.next_command import to_export
from falcon_edge.cli.render import manifest_table, plan_table
from falcon_edge.cli.session import Debug, Json, Quiet, Session, session
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.place import bundle_path

if TYPE_CHECKING:
    from falcon_edge.manifest import Manifest
    from falcon_edge.steps.planning.budgets import Budget

Init = Literal["svd", "whitened", "sequential", "random"]
MIXED = "mixed"
OWN = {"learning_rate": 0.05, "batch_size": 64, "weight_decay": 5e-4}


@grouped
def compress(
    *,
    model: options.Model,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="BUNDLE", help="The bundle to write.")
    ] = None,
    images: Images,
    rank: Annotated[
        str | None,
        typer.Option("--rank", metavar="K", help="The same rank for every layer; evbmf: in each what its kernel has."),
    ] = None,
    target_macs: Annotated[
        float | None, typer.Option("--target-macs", metavar="SHARE", help="A share of the network's MACs, as 0.25.")
    ] = None,
    target_latency: Annotated[
        str | None,
        typer.Option("--target-latency", metavar="3ms|SHARE", help="With forms mixed: what an inference may take."),
    ] = None,
    target_size: Annotated[
        float | None, typer.Option("--target-size", metavar="SHARE", help="With forms mixed: a share of the weights.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option("--max-drop", metavar="POINTS", help="Measure it all, and lose at most so much; else plan anew."),
    ] = None,
    timed: OfLatency,
    form: Annotated[
        str | None,
        typer.Option(
            "--form",
            metavar="NAME",
            autocompletion=completion.form,
            help=f"What takes a convolution's place: {', '.join(completion.FORMS[:-2])}; narrow: fewer channels; "
            "mixed: in each what loses least.",
            show_default="falcon",
        ),
    ] = None,
    cap_rank: Annotated[
        bool, typer.Option("--cap-rank", help="Lower the rank of layers that would cost more MACs than before.")
    ] = False,
    plan: Annotated[Path | None, typer.Option("--plan", metavar="FILE", help="A plan (as --dry-run prints).")] = None,
    init: Annotated[
        Init,
        typer.Option("--init", help="Fit to kernels, to outputs on DATA, to those layer by layer; or fresh."),
    ] = "svd",
    finetune_epochs: Annotated[int | None, typer.Option("--finetune-epochs", min=0, show_default="0")] = None,
    training: Training,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
    source: Source,
    force: options.Force = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Replace a network's convolutions by FALCON or another form, fitted to the trained kernels, and fine-tune it."""
    with session(as_json, debug, quiet) as out:
        if output is None and not dry_run:
            raise BadInput("name the bundle to write with -o, or ask for the plan alone with --dry-run")
        from falcon_edge.steps.compress import compress_bundle as run
        from falcon_edge.steps.compress import plan_of
        from falcon_edge.steps.goals import Goal

        how = training.how(OWN | {"epochs": 0}, finetune_epochs)
        choice = source.choice(model, how.seed)
        classes = images.classes()
        wanted = options.rank(rank)
        macs = target_macs if form == MIXED else None
        budget = _budget(timed, target_latency, target_size, macs, form, max_drop)
        if form == MIXED:
            form, target_macs = None, None
        if dry_run or output is None:
            goal = Goal(wanted, target_macs, plan, form, cap_rank, budget)
            with out.progress() as progress:
                made = plan_of(choice, goal, init=init, data=images.data, class_map=classes, progress=progress)
            out.result(made.model_dump(mode="json"), lambda: plan_table(made))
            return
        if training.recipe and not how.epochs:
            raise BadInput("--recipe says how to fine-tune, but not for how many epochs: give --finetune-epochs")
        with out.team(output, training.accelerator) as place, out.progress() as progress:
            manifest = run(
                choice,
                place,
                data=images.data,
                class_map=classes,
                rank=wanted,
                target_macs=target_macs,
                plan_file=plan,
                form=form,
                cap_rank=cap_rank,
                budget=budget,
                init=init,
                recipe=how,
                running=training.running(),
                metric=images.metric,
                force=force,
                progress=progress,
            )
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        _tell_contract(out, manifest)
        out.next(to_export(bundle_path(output), images))


def _tell_contract(out: Session, manifest: "Manifest") -> None:
    """What was measured of what was asked. Raises BelowAsked where that is not kept."""
    from falcon_edge.steps.planning.contract import broken, in_words

    rounds = manifest.lineage.steps[-1].options.get("contract")
    if not rounds:
        return
    for clause in rounds[0]["clauses"]:
        kept = "kept" if clause["kept"] else "not kept"
        out.say(f"{in_words(clause)}: {kept}{'' if clause['sure'] else ', but not beyond doubt'}")
    problem = broken(rounds)
    if problem is not None:
        raise BelowAsked(f"{manifest.name}: {problem}")


def _budget(
    timed: OfLatency,
    target_latency: str | None,
    target_size: float | None,
    target_macs: float | None,
    form: str | None,
    max_drop: float | None,
) -> "Budget | None":
    """What mixed forms may cost, if that is what was asked for. Raises BadInput for what does not go together."""
    from falcon_edge.steps.planning.budgets import Budget

    targets = {"--target-latency": target_latency, "--target-size": target_size, "--target-macs": target_macs}
    given = [name for name, value in targets.items() if value is not None]
    if len(given) > 1:
        raise BadInput(f"give either {given[0]} or {given[1]}")
    if timed.said and given not in (["--target-latency"], []):
        raise BadInput(f"{OF_LATENCY} say of what a latency is")
    if target_latency is not None:
        what = timed.latency()
        try:
            share = float(target_latency)
        except ValueError:
            amount = options.seconds("--target-latency", target_latency)
            if what.series.emulated:
                raise BadInput(
                    f"--target-latency {target_latency}: an emulated CPU's times are cycles, no seconds; give a share"
                ) from None
            return Budget(what, amount=amount, max_drop=max_drop)
        if not 0 < share < 1:
            raise BadInput(f"--target-latency {target_latency}: a share lies between 0 and 1, a time has a unit")
        return Budget(what, share=share, max_drop=max_drop)
    if target_size is not None:
        return Budget("size", target_size, max_drop=max_drop)
    if target_macs is not None:
        return Budget("macs", target_macs, max_drop=max_drop)
    if max_drop is not None and (timed.said or form == MIXED):
        return Budget(timed.latency() if timed.said else "macs", max_drop=max_drop)
    if max_drop is not None:
        raise BadInput("--max-drop goes with a target of mixed forms, with --form mixed, or with --times")
    if timed.said:
        raise BadInput(f"{OF_LATENCY} say of what a latency is")
    if form == MIXED:
        raise BadInput("--form mixed goes with --target-macs, --target-latency, --target-size or --max-drop")
    return None
