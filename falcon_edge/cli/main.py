"""The program falcon-edge: its verbs, and nothing else."""

import io
import os
import sys
from typing import Annotated

import typer

from falcon_edge import __version__
from falcon_edge.cli import completion
from falcon_edge.cli.adopt import adopt
from falcon_edge.cli.bench import bench
from falcon_edge.cli.check import check
from falcon_edge.cli.compare import compare
from falcon_edge.cli.compress import compress
from falcon_edge.cli.convert import convert
from falcon_edge.cli.demo import demo
from falcon_edge.cli.devices import devices, show
from falcon_edge.cli.embed import embed
from falcon_edge.cli.ending import ignore_signals
from falcon_edge.cli.export import export
from falcon_edge.cli.hosts import loads_models
from falcon_edge.cli.inspect import inspect
from falcon_edge.cli.names import PROGRAMS
from falcon_edge.cli.pack import pack
from falcon_edge.cli.plan import plan
from falcon_edge.cli.report import report
from falcon_edge.cli.serve import serve
from falcon_edge.cli.study import about as about_studies
from falcon_edge.cli.study import study
from falcon_edge.cli.times import times
from falcon_edge.cli.train import train

app = typer.Typer(
    name="falcon-edge",
    rich_markup_mode=None,  # rich's help brings a parser of Markdown along: half of the time that --help takes
    add_completion=False,  # its options take no shell by name: ours are in completion.py
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"falcon-edge {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def falcon_edge(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    install_completion: completion.Install = None,
    show_completion: completion.Show = None,
) -> None:
    """Compress a trained CNN with FALCON, export it, and prove on the device that it got faster."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


VERBS = (
    *(demo, train, pack, plan, compress, adopt, export, convert, inspect),
    *(bench, times, compare, check, report, embed, serve),
)
WITHOUT_MODELS = (inspect, compare, check, report, embed, serve)  # or with some, and then they say so themselves
for verb in VERBS:
    app.command()(verb if verb in WITHOUT_MODELS else loads_models(verb))
app.add_typer(devices, name="devices", short_help=show.__doc__)
app.add_typer(study, name="study", short_help=about_studies.__doc__)
for command in (*app.registered_commands, *devices.registered_commands, *study.registered_commands):
    command.short_help = (command.callback.__doc__ or "").partition("\n\n")[0]  # it is wrapped; a made one is cut
PROGRAMS.append(app)


def main() -> None:
    """Run the command line and exit with the codes of docs/formats.md."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: for terminals that know some scripts only
    try:
        completion.answer_shells()
        app(completion.with_shell(sys.argv[1:]), prog_name=completion.PROGRAM)
    except SystemExit:
        ignore_signals()  # the exit code is said: taking the interpreter apart is not ended by another signal
        raise
