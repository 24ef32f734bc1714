"""falcon-edge serve."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from falcon_edge.cli import completion
from falcon_edge.cli.ending import complain
from falcon_edge.cli.session import Debug, Json, Quiet, Session, session

if TYPE_CHECKING:
    from falcon_edge.steps.serve import Place
    from runtime_bench.results import Results


def serve(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            metavar="BUNDLE...", autocompletion=completion.bundle, help="What browsers can try and measure."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="For results that come back; more are numbered.")
    ] = Path("results.json"),
    host: Annotated[
        str, typer.Option("--host", help="An address of this machine, or 0.0.0.0: open to whoever reaches that.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
    cert: Annotated[Path | None, typer.Option("--cert", metavar="PEM", help="A certificate, for HTTPS.")] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PEM", help="The certificate's key.")] = None,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FOLDER", help="The page's; by default the repository's.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Only these formats.")] = None,
    precision: Annotated[list[str] | None, typer.Option("--precision", help="Only these precisions.")] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Serve a page that runs bundles in any browser; what it measures comes back. Ctrl-C ends it."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.embed import ExportFilter
        from falcon_edge.steps.serve import Place
        from falcon_edge.steps.serve import serve as run

        place = Place(host, port, cert, key)

        def ready(address: str) -> None:
            complain(address)  # with -q, too: without it nobody gets there
            if not quiet:
                complain(_code(address))
            _warn(out, place, address)

        def received(results: "Results", path: Path) -> None:
            device = f"{results.entries[0].device} on {results.before.machine}"
            out.say(f"{path}: {len(results.entries)} files measured by {device}")

        chosen = ExportFilter(target or (), precision or ())
        written = run(bundles, output, place, page=page, choice=chosen, ready=ready, received=received)
        out.result([str(path) for path in written], lambda: _said(written))


def _warn(out: Session, place: "Place", address: str) -> None:
    port = address.split("/")[2].rpartition(":")[2]
    if place.local:
        out.say(f"only this machine reaches it; a phone on USB does after: adb reverse tcp:{port} tcp:{port}")
    else:
        out.say("warning: it is open to everyone who reaches this machine and knows the address")
        if place.cert is None:
            out.say("over plain HTTP browsers give no camera and one thread only; --cert and --key make it HTTPS")
    out.say("Ctrl-C ends it")


def _code(address: str) -> str:
    """The address as a QR code of block characters."""
    import io

    import segno

    text = io.StringIO()
    segno.make(address, micro=False).terminal(out=text, compact=True)
    return text.getvalue().rstrip("\n")


def _said(written: list[Path]) -> str:
    return f"results: {', '.join(map(str, written))}" if written else "no results came"
