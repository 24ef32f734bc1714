"""falcon-edge devices."""

from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from falcon_edge.cli import completion
from falcon_edge.cli.hosts import refuse_on_windows
from falcon_edge.cli.names import in_options
from falcon_edge.cli.render import calibration_table, devices_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput

if TYPE_CHECKING:
    from runtime_bench.devices.survey import State

PHONES = "adb"
devices = typer.Typer(invoke_without_command=True)


@devices.callback()
def show(context: typer.Context, as_json: Json = False, debug: Debug = False, quiet: Quiet = False) -> None:
    """Show which devices can be reached, and what is missing to reach the rest."""
    if context.invoked_subcommand is not None:
        return
    with session(as_json, debug, quiet) as out:
        refuse_on_windows()
        from runtime_bench.devices.survey import survey

        states = [_in_options(state) for state in survey()]
        out.result([asdict(state) for state in states], lambda: devices_table(states))


def _in_options(state: "State") -> "State":
    """What a device is said to lack, by the options that give it."""
    ways = [replace(way, lacks=None if way.lacks is None else in_options(way.lacks)) for way in state.ways]
    remedy = None if state.remedy is None else in_options(state.remedy)
    return replace(state, says=in_options(state.says), remedy=remedy, ways=tuple(ways))


@devices.command()
def setup(
    device: Annotated[str, typer.Argument(metavar="arm64|adb", help="What to set up.")],
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Make the userland that arm64 is emulated with, or fetch ONNX Runtime for phones without the app (adb).

    Either lies in the user's cache folder, and is made again if it is damaged.
    """
    with session(as_json, debug, quiet) as out:
        refuse_on_windows()
        from runtime_bench.devices.archives import VERSION, fetch
        from runtime_bench.devices.arm64.device import NAME
        from runtime_bench.devices.arm64.device import setup as run

        if device not in (NAME, PHONES):
            raise BadInput(f"{device}: only {NAME} and {PHONES} are set up")
        document: dict[str, Any]
        with out.progress() as progress:
            if device == PHONES:
                document = {"file": str(fetch(progress)), "version": VERSION}
            else:
                userland = run(progress)
                document = {
                    "folder": str(userland.folder),
                    "versions": userland.versions,
                    "packages": userland.packages,
                }
        out.result(document, lambda: f"{device} is ready: falcon-edge bench --device {device}")


@devices.command()
def calibrate(
    device: Annotated[str, typer.Argument(metavar="ssh://[user@]host[:port]|local", help="The board, or this one.")],
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[BUNDLE|FILE]...",
            autocompletion=completion.file,
            help="At least 8 files; by default of the network that ships with us.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write.")] = Path(
        "board.calibration.json"
    ),
    cpu: Annotated[
        str | None, typer.Option("--cpu", help="The emulated CPU that is most like the board's, if it is none of them.")
    ] = None,
    mhz: Annotated[
        float | None,
        typer.Option("--mhz", min=1.0, max=1e5, help="Its clock, where it does not tell it (virtual machines)."),
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Leave nothing on the board that was sent to it.")] = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Fit a board's cycles to what its emulated CPU counts, for estimates by bench --calibration."""
    with session(as_json, debug, quiet) as out:
        refuse_on_windows()
        from falcon_edge.steps.calibrate import calibrate as run
        from runtime_bench.calibration import save
        from runtime_bench.devices.local import LocalDevice
        from runtime_bench.devices.ssh import SshDevice
        from runtime_bench.files import check_outputs

        check_outputs([output], models or ())
        chosen = LocalDevice() if device == "local" else SshDevice(device, clean=clean)
        with closing(chosen) as board, out.progress() as progress:
            found = run(board, models or (), cpu=cpu, mhz=mhz, progress=progress)
        save(found, output)
        out.result(found.model_dump(mode="json"), lambda: calibration_table(found))
        for flag in found.flags:
            out.say(f"{flag.flag}: {flag.reason}; {flag.remedy}")
        out.say(f"written to {output}")
