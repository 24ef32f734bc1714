"""falcon-edge embed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from falcon_edge.cli import completion
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.cli.tables import Table
from falcon_edge.errors import BadInput

if TYPE_CHECKING:
    from falcon_edge.embedded import Index


def embed(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            metavar="[BUNDLE]...",
            autocompletion=completion.bundle,
            help="What to embed.",
            default_factory=list,
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The app (android_demo) or the page (android_demo/web).")
    ],
    show: Annotated[bool, typer.Option("--list", help="Only show what is embedded.")] = False,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="NAME", help="Take a model out; repeat it.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Only these formats.")] = None,
    precision: Annotated[list[str] | None, typer.Option("--precision", help="Only these precisions.")] = None,
    max_size: Annotated[
        int, typer.Option("--max-size", metavar="MIB", min=1, help="Of all models together: what an app store takes.")
    ] = 150,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Put bundles into the Android app or the web page; one of the same name is replaced."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps import embed as step

        asked = [name for name, given in (("a BUNDLE", bundles), ("--list", show), ("--remove", remove)) if given]
        if len(asked) != 1:
            step.models_folder(folder)  # where that is the mistake, it is the first one
            raise BadInput(f"name a BUNDLE to embed, --list or --remove NAME, one of them; {len(asked)} were given")
        if remove:
            index = step.remove(remove, folder)
        elif bundles:
            choice = step.ExportFilter(target or (), precision or ())
            index = step.embed(bundles, folder, choice, maximum=max_size << 20)
        else:
            index = step.embedded(folder)
        place = step.models_folder(folder)
        document = index.model_dump(mode="json")
        out.result(document | {"path": str(place), "bytes": index.size}, lambda: _table(index, place))


def _table(index: "Index", place: Path) -> Table:
    from falcon_edge.place import MANIFEST
    from runtime_bench import units

    table = Table("model", "role", "files", "size", name=str(place))
    for model in index.models:
        files = [Path(name).name for name in model.files if name.startswith("exports/")]
        table.add_row(model.folder, model.role, ", ".join(files) or MANIFEST, units.megabytes(model.size))
    table.add_row("", "", "all together", units.megabytes(index.size))
    return table
