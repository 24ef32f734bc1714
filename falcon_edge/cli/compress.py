"""falcon-edge compress."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from falcon_edge.cli import completion, options
from falcon_edge.cli.export import Cpu
from falcon_edge.cli.next_command import Given, to_export
from falcon_edge.cli.render import manifest_table, plan_table
from falcon_edge.cli.session import Debug, Json, Quiet, Session, session
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.place import bundle_path

if TYPE_CHECKING:
    from falcon_edge.manifest import Manifest
    from falcon_edge.steps.planning.budgets import Budget

Init = Literal["svd", "whitened", "sequential", "random"]
MIXED = "mixed"
OF_LATENCY = "--times, --runtime, --precision, --device, --threads, --cpu and --paced"
TimesCpu = Annotated[Cpu, typer.Option("--cpu", help="Of a latency: the kind of CPU that its int8 files are for.")]
OWN = {"learning_rate": 0.05, "batch_size": 64, "weight_decay": 5e-4}


def compress(
    model: options.Model,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="BUNDLE", help="The bundle to write.")
    ] = None,
    data: options.Data = None,
    class_map: options.ClassMap = None,
    metric: options.Metric = None,
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
    times: options.Times = None,
    runtime: options.TimesRuntime = None,
    precision: options.TimesPrecision = None,
    device: options.TimesDevice = None,
    threads: options.TimesThreads = 1,
    cpu: TimesCpu = Cpu.any,
    paced: options.Paced = False,
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
    recipe: options.Recipes = None,
    lr: options.LearningRate = None,
    batch_size: options.BatchSize = None,
    weight_decay: options.WeightDecay = None,
    temperature: options.Temperature = None,
    distillation: options.Distillation = None,
    crop_padding: options.CropPadding = None,
    flip: options.Flip = None,
    accelerator: options.Accelerator = "cpu",
    workers: options.Workers = 0,
    curves: options.Curves = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
    model_args: options.ModelArgs = None,
    weights: options.Weights = None,
    weights_key: options.WeightsKey = None,
    input_shape: options.Input = None,
    num_classes: options.Classes = None,
    width: options.Width = 1.0,
    mean: options.Mean = None,
    std: options.Std = None,
    seed: options.RecipeSeed = None,
    trust_code: options.TrustCode = False,
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
        from falcon_edge.training.running import Running

        options.check_metric(metric, data)
        how = options.recipe(
            recipe,
            OWN | {"epochs": 0},
            epochs=finetune_epochs,
            learning_rate=lr,
            batch_size=batch_size,
            weight_decay=weight_decay,
            temperature=temperature,
            distillation=distillation,
            crop_padding=crop_padding,
            flip=flip,
            seed=seed,
        )
        choice = options.choice(
            model,
            weights,
            input_shape,
            num_classes,
            width,
            mean,
            std,
            how.seed,
            weights_key,
            model_args=model_args,
            trust_code=trust_code,
        )
        classes = options.class_map(class_map, data)
        timed = options.OfLatency(times, runtime, precision, device, threads, cpu.value, paced)
        wanted = options.rank(rank)
        macs = target_macs if form == MIXED else None
        budget = _budget(timed, target_latency, target_size, macs, form, max_drop)
        if form == MIXED:
            form, target_macs = None, None
        if dry_run or output is None:
            goal = Goal(wanted, target_macs, plan, form, cap_rank, budget)
            with out.progress() as progress:
                made = plan_of(choice, goal, init=init, data=data, class_map=classes, progress=progress)
            out.result(made.model_dump(mode="json"), lambda: plan_table(made))
            return
        if recipe and not how.epochs:
            raise BadInput("--recipe says how to fine-tune, but not for how many epochs: give --finetune-epochs")
        running = Running(accelerator, workers, curves)
        with out.team(output, accelerator) as place, out.progress() as progress:
            manifest = run(
                choice,
                place,
                data=data,
                class_map=classes,
                rank=wanted,
                target_macs=target_macs,
                plan_file=plan,
                form=form,
                cap_rank=cap_rank,
                budget=budget,
                init=init,
                recipe=how,
                running=running,
                metric=metric,
                force=force,
                progress=progress,
            )
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        _tell_contract(out, manifest)
        out.next(to_export(bundle_path(output), Given(data, class_map, metric)))


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
    timed: options.OfLatency,
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
