"""Documents are read whatever version wrote them."""

import json
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from falcon_edge.documents import Document, Upgrades, canonical_json, parse_document
from falcon_edge.errors import BadInput

PATH = Path("a.json")


def named(document):
    """Of version 1: a name was called a title."""
    return {
        "schema_version": 2,
        "name": document.pop("title"),
        **{key: document[key] for key in document if key != "schema_version"},
    }


class Third(Document):
    UPGRADES: ClassVar[Upgrades] = {1: named, 2: lambda document: {**document, "schema_version": 3, "words": []}}

    schema_version: Literal[3] = 3
    name: str
    words: tuple[str, ...]


@pytest.mark.parametrize(
    "document",
    [
        {"schema_version": 1, "title": "a"},
        {"title": "a"},  # the first one needed no number
        {"schema_version": 2, "name": "a"},
        {"schema_version": 3, "name": "a", "words": []},
    ],
)
def test_every_version_becomes_the_present_one(document):
    read = parse_document(json.dumps(document).encode(), PATH, Third)
    assert read == Third(name="a", words=())
    assert parse_document(canonical_json(read), PATH, Third) == read


@pytest.mark.parametrize("version", [0, 4, -1, "1", None, [1], 1.5])
def test_another_version_is_named(version):
    data = json.dumps({"schema_version": version, "name": "a", "words": []}).encode()
    with pytest.raises(BadInput, match=r"a third of version .*; this program reads 1 to 3"):
        parse_document(data, PATH, Third)


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"schema_version": 1}', '{"schema_version": 3, "name": 1e999}'])
def test_what_is_damaged_is_one_line(text):
    with pytest.raises(BadInput, match=r"^a\.json: not a valid third") as caught:
        parse_document(text.encode(), PATH, Third)
    assert "\n" not in str(caught.value)
