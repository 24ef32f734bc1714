"""falcon-edge check."""

import math
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli import completion, options
from falcon_edge.cli.grouping import grouped
from falcon_edge.cli.groups import Chosen, Images, Phones
from falcon_edge.cli.hosts import refuse_on_windows
from falcon_edge.cli.render import findings_table
from falcon_edge.cli.session import Debug, Json, Quiet, session
from falcon_edge.errors import BadInput, BelowAsked, Inconclusive


@grouped
def check(
    *,
    new: Annotated[
        Path,
        typer.Argument(
            metavar="NEW", autocompletion=completion.judged, help="A bundle, a model file, or results of bench."
        ),
    ],
    baseline: Annotated[
        Path,
        typer.Option(
            "--baseline", metavar="OLD", autocompletion=completion.judged, help="What it must not be worse than."
        ),
    ],
    tolerance: Annotated[
        str | None,
        typer.Option("--tolerance", metavar="5%", help="Of all but accuracy; by default 5%, and 0.5% of counts."),
    ] = None,
    tolerances: Annotated[
        Path | None, typer.Option("--tolerances", metavar="FILE", help="TOML with one for each figure.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="What only OLD has is no regression; what fails still is.")
    ] = False,
    confirm: Annotated[
        bool | None,
        typer.Option("--confirm/--no-confirm", help="Measure models again before a regression counts: by default."),
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option(
            "--patience",
            metavar="120s",
            help="How long to go on while inconclusive; by default as long as the first run.",
        ),
    ] = None,
    every: options.Every = None,
    cold: options.Cold = False,
    history: Annotated[
        Path | None,
        typer.Option("--history", metavar="FILE.jsonl", help="Add what was measured, and find a slow drift in it."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Where to measure, as in bench; by default local.")
    ] = None,
    phones: Phones,
    selected: Chosen,
    images: Images,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="What was measured.")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="The findings as a job summary.")
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="The findings as JUnit XML.")] = None,
    as_json: Json = False,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Say whether NEW is worse than OLD: pass (0), regression (1), inconclusive (3), or no verdict (4)."""
    with session(as_json, debug, quiet) as out:
        from falcon_edge.steps.check import PROTOCOL, RESULTS, check_models, refuse_for_results
        from runtime_bench import ci
        from runtime_bench.files import check_outputs, write
        from runtime_bench.regression import Tolerances, Verdict
        from runtime_bench.results import save

        if tolerance is not None and tolerances is not None:
            raise BadInput("--tolerance and --tolerances: give one of them")
        allowed = Tolerances() if tolerances is None else Tolerances.read(tolerances)
        if tolerance is not None:
            share = _share(tolerance)
            allowed = Tolerances(latency=share, paced=share, cold=share, memory=share, size=share, counts=share)
        measuring: dict[str, object] = {"device": device, **vars(images)}
        measuring |= {"output": output, "confirm": confirm, "patience": patience, "every": every}
        measuring |= {"cold": cold or None, **{name: given or None for name, given in vars(phones).items()}}
        refuse_for_results(new, baseline, measuring)
        if new.suffix.lower() != RESULTS:
            refuse_on_windows()
        classes = images.classes()
        seconds = None if patience is None else options.seconds("--patience", patience)
        inputs = filter(None, (tolerances, *phones.archives))
        check_outputs((history, output, markdown, junit), [new, baseline, *inputs])
        (where,) = phones.devices([device or "local"])
        with closing(where), out.progress() as progress:
            checked = check_models(
                new,
                baseline,
                allowed,
                protocol=replace(PROTOCOL, every=options.every(every, cold), cold=cold),
                device=None if device is None else where,
                selection=selected.selection(),
                data=images.data,
                class_map=classes,
                metric=images.metric,
                confirm=confirm,
                patience=seconds,
                allow_missing=allow_missing,
                history=history,
                progress=progress,
            )
        if output is not None and checked.results is not None:
            save(checked.results, output)
        if markdown is not None:
            write(ci.markdown(checked.verdict, checked.findings, checked.measured).encode(), markdown)
        if junit is not None:
            write(ci.junit(checked.findings, checked.measured), junit)
        document = {
            "verdict": checked.verdict,
            "tolerances": asdict(allowed),
            "measured": None
            if checked.looks is None
            else {
                "runs": checked.runs,
                "seconds": round(checked.seconds, 1),
                "looks": checked.looks.runs,
                "confidence": checked.looks.confidence,
            },
            "findings": [asdict(finding) for finding in checked.findings],
        }
        out.result(document, lambda: findings_table(checked.verdict, checked.findings, allowed, checked.measured))
        if checked.verdict is None:
            out.failures([f"no verdict: {each.compared}: {each.says}" for each in checked.findings if each.failed])
        first = next((each for each in checked.findings if each.verdict is checked.verdict), None)
        if first is not None and checked.verdict is not Verdict.passed:
            kind = BelowAsked if checked.verdict is Verdict.regression else Inconclusive
            raise kind(f"{checked.verdict}: {first.figure} of {first.model}: {first.says}")


def _share(text: str) -> float:
    """'5%' or '0.05' as 0.05. 5 may mean either 5% or five times as much: BadInput, as for all that is no share."""
    percent = text.endswith("%")
    try:
        share = float(text[:-1]) / 100 if percent else float(text)
        if math.isnan(share):
            raise ValueError(text)
    except ValueError as error:
        raise BadInput(f"--tolerance {text}: write a share, as in 5% or 0.05") from error
    if share >= 1 and not percent:
        raise BadInput(f"--tolerance {text}: write {text}%, or a share below 1, as in 0.05")
    return share
