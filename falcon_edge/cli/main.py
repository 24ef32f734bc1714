"""The program falcon-edge: its verbs, and nothing else."""

import os

import typer

from falcon_edge.cli.bench import bench
from falcon_edge.cli.compare import compare
from falcon_edge.cli.compress import compress
from falcon_edge.cli.demo import demo
from falcon_edge.cli.export import export
from falcon_edge.cli.inspect import inspect
from falcon_edge.cli.pack import pack
from falcon_edge.cli.train import train

app = typer.Typer(
    name="falcon-edge",
    help="Compress a trained CNN with FALCON, export it, and prove on the device that it got faster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (demo, train, pack, compress, export, inspect, bench, compare):
    app.command()(verb)


def main() -> None:
    """Run the command line and exit with the codes of docs/formats.md."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    app()
