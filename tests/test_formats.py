"""The published schemas and examples (docs/schemas, docs/examples) are what the program reads and writes."""

import json
import os
from pathlib import Path

import pytest

from falcon_edge.data.classes import read_class_map
from falcon_edge.documents import read_document
from falcon_edge.embedded import Index
from falcon_edge.falcon.plan import Plan
from falcon_edge.manifest import Card, Manifest
from falcon_edge.steps.answers import Record
from falcon_edge.steps.study.document import Study
from falcon_edge.steps.study.making import Record as Cell
from falcon_edge.times import Times
from falcon_edge.training import history as training
from runtime_bench import calibration
from runtime_bench.calibration import Calibration
from runtime_bench.history import Line, read
from runtime_bench.results import Results, load

DOCS = Path(__file__).parents[1] / "docs"
KINDS = {
    "manifest": Manifest,
    "plan": Plan,
    "card": Card,
    "results": Results,
    "history": Line,
    "calibration": Calibration,
    "training": training.Line,
    "embedded": Index,
    "answers": Record,
    "times": Times,
    "study": Study,
    "cell": Cell,
}


@pytest.mark.parametrize("name", KINDS)
def test_schema_is_that_of_the_types(name):
    path = DOCS / "schemas" / f"{name}.json"
    schema = json.dumps(KINDS[name].model_json_schema(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("FALCON_EDGE_REGENERATE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(schema)
    assert path.read_text() == schema


@pytest.mark.parametrize("name", ["manifest", "plan", "embedded", "answers", "times"])
def test_example_is_read(name):
    path = DOCS / "examples" / f"{name}.json"
    document = read_document(path, KINDS[name])
    assert document.model_dump(mode="json", exclude_unset=True) == json.loads(path.read_text())


def test_example_of_results_is_read():
    path = DOCS / "examples" / "results.json"
    results = load(path)
    assert [entry.model.role for entry in results.entries] == ["standard", "standard", "compressed", "compressed"]
    assert results.model_dump(mode="json", exclude_unset=True) == json.loads(path.read_text())


def test_example_of_a_class_map_is_read_and_is_the_one_in_the_text():
    path = DOCS / "examples" / "class-map.json"
    assert read_class_map(path) == {"tabby": "cat", "siamese": "cat", "dog": 3, "background": None}
    assert f"```json\n{path.read_text()}```" in (DOCS / "formats.md").read_text()


def test_example_of_a_calibration_is_read():
    path = DOCS / "examples" / "calibration.json"
    assert calibration.load(path).model_dump(mode="json") == json.loads(path.read_text())


def test_example_of_a_history_is_read():
    path = DOCS / "examples" / "history.jsonl"
    lines = read(path)
    assert [line.ratio is None for line in lines] == [False, True]
    assert [line.model_dump(mode="json", exclude_unset=True) for line in lines] == [
        json.loads(text) for text in path.read_text().splitlines()
    ]


def test_example_of_a_training_is_read():
    texts = (DOCS / "examples" / "training.jsonl").read_text().splitlines()
    lines = [training.Line.model_validate_json(text) for text in texts]
    assert [(line.attempt, line.epoch) for line in lines] == [(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert [line.model_dump(mode="json") for line in lines] == [json.loads(text) for text in texts]
