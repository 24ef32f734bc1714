"""falcon-edge devices."""

from dataclasses import asdict
from typing import Annotated

import typer

from falcon_edge.cli.render import devices_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput

devices = typer.Typer(invoke_without_command=True)


@devices.callback()
def show(context: typer.Context, as_json: Json = False, debug: Debug = False, quiet: Quiet = False) -> None:
    """Show which devices can be reached, and what is missing to reach the rest."""
    if context.invoked_subcommand is not None:
        return
    with session(as_json, debug, quiet) as out:
        from runtime_bench.devices.survey import survey

        states = survey()
        out.result([asdict(state) for state in states], lambda: devices_table(states))


@devices.command()
def setup(
    device: Annotated[str, typer.Argument(metavar="arm64", help="What to set up.")],
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Make the userland that arm64 is emulated with, in the user's cache folder, or make it again if it is damaged."""
    with session(as_json, debug, quiet) as out:
        from runtime_bench.devices.arm64.device import NAME
        from runtime_bench.devices.arm64.device import setup as run

        if device != NAME:
            raise BadInput(f"{device}: only {NAME} is set up")
        with out.progress() as progress:
            userland = run(progress)
        document = {"folder": str(userland.folder), "versions": userland.versions, "packages": userland.packages}
        out.result(document, lambda: f"{NAME} is ready: falcon-edge bench --device {NAME}")
