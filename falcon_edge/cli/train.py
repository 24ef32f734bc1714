"""falcon-edge train."""

from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli import options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import Images, Source, Training
from falcon_edge.cli.next_command import after_packing
from falcon_edge.cli.render import manifest_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput
from falcon_edge.place import bundle_path

OWN = {"epochs": 30, "learning_rate": 0.1, "batch_size": 128, "weight_decay": 5e-4}


@grouped
def train(
    *,
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
    class_map: options.ClassMap = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, show_default=str(OWN["epochs"]))] = None,
    training: Training,
    source: Source,
    force: options.Force = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Train a standard network, or one of any unit; a killed run goes on when it is started again."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.train import train_bundle as run

        if teacher is None and (training.temperature, training.distillation) != (None, None):
            raise BadInput("--temperature and --distillation go with --teacher")
        how = training.how(OWN, epochs)
        placed = options.unit(unit, expansion=expansion, groups=groups, rank=rank)
        choice = source.choice(model, how.seed, placed)
        images = Images(data, class_map)
        classes = images.classes()
        with out.team(output, training.accelerator) as place, out.progress() as progress:
            manifest = run(
                *(choice, data, place, how),
                teacher=teacher,
                class_map=classes,
                running=training.running(),
                force=force,
                progress=progress,
            )
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        out.next(after_packing(bundle_path(output), images))
