"""falcon-edge compress."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from falcon_edge.cli import options
from falcon_edge.cli.next_command import Given, to_export
from falcon_edge.cli.render import manifest_table, plan_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput
from falcon_edge.place import bundle_path

Init = Literal["svd", "whitened", "sequential"]
Form = Literal["falcon", "dsconv", "tucker2", "lowrank_in", "lowrank_out", "spatial", "narrow"]
FIRST_RATE = 0.05


def compress(
    model: options.Model,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="BUNDLE", help="The bundle to write.")
    ] = None,
    data: options.Data = None,
    class_map: options.ClassMap = None,
    metric: options.Metric = None,
    rank: Annotated[int | None, typer.Option("--rank", metavar="K", help="The same rank for every layer.")] = None,
    target_macs: Annotated[
        float | None, typer.Option("--target-macs", metavar="SHARE", help="A share of the network's MACs, as 0.25.")
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option("--form", help="What takes a convolution's place; narrow: fewer channels.", show_default="falcon"),
    ] = None,
    cap_rank: Annotated[
        bool, typer.Option("--cap-rank", help="Lower the rank of layers that would cost more MACs than before.")
    ] = False,
    plan: Annotated[Path | None, typer.Option("--plan", metavar="FILE", help="A plan (as --dry-run prints).")] = None,
    init: Annotated[
        Init,
        typer.Option("--init", help="Fit to kernels, to outputs on DATA, or to those layer by layer."),
    ] = "svd",
    finetune_epochs: Annotated[int, typer.Option("--finetune-epochs", min=0)] = 0,
    lr: options.LearningRate = None,
    batch_size: options.BatchSize = 64,
    weight_decay: options.WeightDecay = 5e-4,
    temperature: Annotated[float, typer.Option("--temperature", help="Of the distillation.")] = 4.0,
    distillation: Annotated[float, typer.Option("--distillation", help="Weight of the teacher, 0 to 1.")] = 0.9,
    crop_padding: options.CropPadding = 0,
    flip: options.Flip = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
    model_args: options.ModelArgs = None,
    weights: options.Weights = None,
    weights_key: options.WeightsKey = None,
    input_shape: options.Input = None,
    num_classes: options.Classes = None,
    width: options.Width = 1.0,
    mean: options.Mean = None,
    std: options.Std = None,
    seed: options.Seed = 0,
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
        from falcon_edge.steps.compress import Goal, plan_of
        from falcon_edge.steps.compress import compress_bundle as run
        from falcon_edge.training.fit import Recipe

        options.check_metric(metric, data)
        classes = options.class_map(class_map, data)
        choice = options.choice(
            model,
            weights,
            input_shape,
            num_classes,
            width,
            mean,
            std,
            seed,
            weights_key,
            model_args=model_args,
            trust_code=trust_code,
        )
        if dry_run or output is None:
            made = plan_of(
                choice, Goal(rank, target_macs, plan, form, cap_rank), init=init, data=data, class_map=classes
            )
            out.result(made.model_dump(mode="json"), lambda: plan_table(made))
            return
        recipe = Recipe(
            epochs=finetune_epochs,
            learning_rate=FIRST_RATE if lr is None else lr,
            find_rate=lr is None,
            batch_size=batch_size,
            weight_decay=weight_decay,
            temperature=temperature,
            distillation=distillation,
            crop_padding=crop_padding,
            flip=flip,
            seed=seed,
        )
        with out.progress() as progress:
            manifest = run(
                choice,
                output,
                data=data,
                class_map=classes,
                rank=rank,
                target_macs=target_macs,
                plan_file=plan,
                form=form,
                cap_rank=cap_rank,
                init=init,
                recipe=recipe,
                metric=metric,
                force=force,
                progress=progress,
            )
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        out.next(to_export(bundle_path(output), Given(data, class_map, metric)))
