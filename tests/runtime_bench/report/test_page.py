"""The page: one file, always the same, and nothing in it is taken for markup. For browsers see tests/e2e."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs

from runtime_bench.report.contents import contents
from runtime_bench.report.page import html
from runtime_bench.results import Failure, Flag

HOSTILE = "</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """The tags of a page and their attributes, and the scripts by their id."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.scripts, self._script = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._script = dict(attributes).get("id", "") if tag == "script" else None

    def handle_data(self, data):
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def handle_endtag(self, tag):
        self._script = None


def unpacked(found, name):
    return gzip.decompress(base64.b64decode(found.scripts[name])).decode()


def page(*results, **options):
    return html(contents(results, **options))


def test_the_same_results_make_the_same_bytes(full):
    assert page(full()) == page(full())


def test_plotly_is_inside_and_nothing_is_fetched(full):
    found = Page(page(full()))
    assert unpacked(found, "plotly") == get_plotlyjs()
    assert not [attributes for _, attributes in found.tags if {"src", "srcset", "action", "data"} & attributes.keys()]
    assert {attributes["href"][0] for _, attributes in found.tags if "href" in attributes} == {"#"}
    assert not re.search(r"@import|url\(", page(full()).partition("</style>")[0])


def test_every_plot_has_its_place(full, emulated):
    found = Page(page(full(), emulated()))
    places = [attributes["data-figure"] for _, attributes in found.tags if "data-figure" in attributes]
    assert places == [figure["name"] for figure in json.loads(unpacked(found, "figures"))]
    assert len(places) == len(set(places)) == 7


@pytest.mark.parametrize(
    "hostile", [HOSTILE, "<!--<script>", "{{ 7 * 7 }}", "'\"><svg onload=alert(1)>", "\u2028&amp;"]
)
def test_hostile_texts_are_shown_and_not_obeyed(full, entry, results, hostile):
    plain = Page(page(full()))
    texts = {"name": hostile, "file": hostile, "target": hostile, "precision": hostile}
    entries = [
        each.model_copy(
            update={
                "model": each.model.model_copy(update=texts),
                "flags": (Flag(flag=hostile, reason=hostile, remedy=hostile),),
                "device": hostile,
            }
        )
        for each in full().entries
    ]
    measured = full(entries=tuple(entries), options={hostile: hostile}, created=hostile)
    failed = results(entry(hostile, samples=(), failure=Failure(kind=hostile, message=hostile)), cpu=hostile)
    found = Page(page(measured, failed))
    # No element, no attribute and no script that a page of plain texts does not have.
    assert {tag for tag, _ in found.tags} == {tag for tag, _ in plain.tags}
    names = {name for _, attributes in plain.tags for name in attributes}
    assert {name for _, attributes in found.tags for name in attributes} == names
    assert found.scripts.keys() == plain.scripts.keys()
    assert json.loads(unpacked(found, "figures"))
