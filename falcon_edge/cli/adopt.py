"""falcon-edge adopt."""

from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli import completion, options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import Images
from falcon_edge.cli.next_command import to_export
from falcon_edge.cli.render import manifest_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput
from falcon_edge.place import bundle_path


@grouped
def adopt(
    *,
    standard: Annotated[
        str,
        typer.Argument(metavar="STANDARD", autocompletion=completion.bundle, help="The bundle of the network before."),
    ],
    output: options.Output,
    weights: options.Weights = None,
    weights_key: options.WeightsKey = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Which layers are FALCON; by default as the weights' names say."),
    ] = None,
    images: Images,
    trust_code: options.TrustCode = False,
    force: options.Force = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Make a bundle of weights that were tuned elsewhere, so that they are compared with the network they came from."""
    with session(as_json, debug, quiet) as out:
        if weights is None:
            raise BadInput("--weights FILE: say which weights come back")
        from falcon_edge.steps.adopt import adopt_bundle as run
        from falcon_edge.steps.opening import Choice

        manifest = run(
            Choice(standard, trust_code=trust_code),
            weights,
            output,
            plan_file=plan,
            weights_key=weights_key,
            data=images.data,
            class_map=images.classes(),
            metric=images.metric,
            force=force,
        )
        out.result(manifest.model_dump(mode="json"), lambda: manifest_table(manifest))
        out.next(to_export(bundle_path(output), images))
