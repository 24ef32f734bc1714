"""falcon-edge times."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from falcon_edge.cli import options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import Phones, Source
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.cli.tables import Table

if TYPE_CHECKING:  # rich is imported where it is used: --help must answer at once
    from collections.abc import Sequence

    from falcon_edge.network import Network
    from falcon_edge.times import Series


@grouped
def times(
    *,
    model: options.Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The times; what is in it already is kept.")
    ],
    device: Annotated[
        str, typer.Option("--device", help="local, arm64[:CPU] (estimated cycles), ssh://[user@]host, adb[:SERIAL].")
    ] = "local",
    phones: Phones,
    runtime: Annotated[
        list[str] | None, typer.Option("--runtime", help="onnxruntime (ort), litert (tflite); by default both.")
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option("--precision", help="fp32, int8; by default both. Repeat it.")
    ] = None,
    plan: Annotated[
        list[Path] | None, typer.Option("--plan", metavar="FILE", help="Only the layers of this plan; repeat it.")
    ] = None,
    widths: Annotated[
        list[float] | None,
        typer.Option("--widths", metavar="SHARE", help="Of narrower networks too: a share of the channels; repeat it."),
    ] = None,
    cpu: options.FilesCpu = options.Cpu.any,
    rewrites: Annotated[
        bool, typer.Option("--rewrites", help="Time exact rewrites of the network in int8 instead of its layers.")
    ] = False,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each is timed.")] = 3,
    model_args: options.ModelArgs = None,
    input_shape: options.Input = None,
    num_classes: options.Classes = None,
    width: options.Width = 1.0,
    trust_code: options.TrustCode = False,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Time every form of a network's layers on a device: what plans are predicted by. Run again, it goes on."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.documents import read_document
        from falcon_edge.errors import BadInput
        from falcon_edge.falcon.plan import Plan
        from falcon_edge.steps.opening import open_network
        from falcon_edge.steps.timed_rewrites import time_rewrites
        from falcon_edge.steps.times import PRECISIONS, TimesRequest, time_layers
        from runtime_bench.runtimes import RUNTIMES

        runtimes = list(runtime or (each.name for each in RUNTIMES if each.by_default))
        plans = tuple(read_document(path, Plan) for path in plan or ())
        if rewrites and (plans or widths or cpu is not options.Cpu.any or precision not in (None, ["int8"])):
            raise BadInput(
                "--rewrites are of int8 files and of the network as it is: leave out --plan, --widths, --cpu and "
                "--precision"
            )
        precisions = ["int8"] if rewrites else precision or PRECISIONS
        requests = [
            TimesRequest(name, each, plans, widths or (), threads, rounds, cpu.value)
            for name in runtimes
            for each in precisions
        ]
        source = Source(model_args, None, None, input_shape, num_classes, width, trust_code=trust_code)
        network = open_network(source.choice(model))
        (opened,) = phones.devices([device])
        with closing(opened), out.progress() as progress:
            run = time_rewrites if rewrites else time_layers
            found = [run(network, output, request, device=opened, progress=progress) for request in requests]
        shown = _shown_rewrites if rewrites else _shown
        out.result([each.model_dump(mode="json") for each in found], lambda: shown(network, found))


def _shown(network: "Network", series: "Sequence[Series]") -> Table:
    """What was timed, and what the standard network and FALCON of rank 1 are predicted to take."""
    from falcon_edge.steps.planning.predictor import Predictor
    from falcon_edge.times import WAYS

    table = Table("runtime", "version", "precision", "layers timed", "figure", "standard", "FALCON, rank 1")
    for each in series:
        for way, name in WAYS.items():
            if any(getattr(timed, name) for timed in each.networks):
                predictor = Predictor(network, each, way)
                values = (predictor.predict(plan).value for plan in (predictor.standard, predictor.falcon))
                shown = (f"{value:.3g} cycles" if way == "cycles" else f"{1000 * value:.3g} ms" for value in values)
                table.add_row(each.runtime, each.version, each.precision, str(len(each.units)), way, *shown)
    return table


def _shown_rewrites(network: "Network", series: "Sequence[Series]") -> Table:
    """How many times as fast the network is with each rewrite, and whether `export` does it."""
    from falcon_edge.steps.timed_rewrites import outline_of, verdicts, way_of

    table = Table("runtime", "version", "rewrite", "figure", "times as fast", "done")
    for each in series:
        for place, found in verdicts(each, outline_of(network)).items():
            gain, done = "cannot be run" if found.gain is None else f"{found.gain:.3f}", "yes" if found.done else "no"
            table.add_row(each.runtime, each.version, str(place), way_of(each), gain, done)
    return table
