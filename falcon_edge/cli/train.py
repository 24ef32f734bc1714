"""falcon-edge train."""

from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli import options
from falcon_edge.cli.next_command import Given, after_packing
from falcon_edge.cli.render import manifest_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput
from falcon_edge.place import bundle_path

OWN = {"epochs": 30, "learning_rate": 0.1, "batch_size": 128, "weight_decay": 5e-4}


def train(
    model: options.Model,
    output: options.Output,
    data: Annotated[str, typer.Option("--data", metavar="DATA", help="A folder, a .npz, or 'sample'.")],
    unit: options.UnitName = None,
    expansion: options.Expansion = None,
    groups: options.Groups = None,
    rank: options.UnitRank = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", metavar="BUNDLE", help="A trained network to learn from, too.")
    ] = None,
    temperature: options.Temperature = None,
    distillation: options.Distillation = None,
    class_map: options.ClassMap = None,
    recipe: options.Recipes = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, show_default=str(OWN["epochs"]))] = None,
    lr: options.LearningRate = None,
    batch_size: options.BatchSize = None,
    weight_decay: options.WeightDecay = None,
    crop_padding: options.CropPadding = None,
    flip: options.Flip = None,
    accelerator: options.Accelerator = "cpu",
    workers: options.Workers = 0,
    curves: options.Curves = None,
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
    """Train a standard network, or one of any unit; a killed run goes on when it is started again."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.train import train_bundle as run
        from falcon_edge.training.running import Running

        if teacher is None and (temperature, distillation) != (None, None):
            raise BadInput("--temperature and --distillation go with --teacher")
        how = options.recipe(
            recipe,
            OWN,
            epochs=epochs,
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
            unit=options.unit(unit, expansion=expansion, groups=groups, rank=rank),
        )
        classes = options.class_map(class_map, data)
        running = Running(accelerator, workers, curves)
        with out.team(output, accelerator) as place, out.progress() as progress:
            manifest = run(
                *(choice, data, place, how),
                teacher=teacher,
                class_map=classes,
                running=running,
                force=force,
                progress=progress,
            )
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        out.next(after_packing(bundle_path(output), Given(data, class_map)))
