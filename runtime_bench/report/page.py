"""A report as one HTML file that asks the network for nothing: style, script, plots and plotly.js are in it."""

import base64
import gzip
import hashlib
import json
from dataclasses import asdict
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from runtime_bench import text
from runtime_bench.report.contents import Report


def html(report: Report) -> str:
    """The page; the same report makes the same bytes.

    Texts of results are escaped, and should one get through, the page's policy runs no script but the two that belong
    to it, and loads nothing.
    """
    script, plotly = _file("page.js"), get_plotlyjs()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src '{_source(script)}' '{_source(plotly)}'; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(autoescape=True, finalize=_harmless, trim_blocks=True, undefined=StrictUndefined)
    page = environment.from_string(_file("page.html"))
    figures = [asdict(figure) for section in report.sections for figure in section.figures]
    return page.render(
        report=report,
        policy=policy,
        style=Markup(_file("page.css")),
        script=Markup(script),
        figures=Markup(_packed(json.dumps(figures, allow_nan=False))),
        plotly=Markup(_packed(plotly)),
    )


def _file(name: str) -> str:
    return (files("runtime_bench.report") / name).read_text(encoding="utf-8")


def _harmless(value: object) -> object:
    """What the page is made of: our own markup as it is, and the texts of others."""
    return Markup(text.html(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _packed(content: str) -> str:
    """A third to a tenth of the size; the page's script unpacks it."""
    return base64.b64encode(gzip.compress(content.encode(), mtime=0)).decode()


def _source(script: str) -> str:
    """A script's name in a Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
