"""What the app's Accuracy screen shared becomes the quality of its file, beside the latencies of that phone."""

import json
from pathlib import Path

import numpy as np
import pytest

from falcon_edge.errors import BadInput
from falcon_edge.metrics.quality import share
from falcon_edge.steps.answers import loaded
from falcon_edge.steps.compare import compare
from falcon_edge.steps.report import report
from runtime_bench.results import load

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


@pytest.fixture
def document():
    return json.loads((EXAMPLES / "answers.json").read_text())


@pytest.fixture
def measured(tmp_path, document):
    """Results of the same file on the same phone (the first), and of others, without quality."""
    results = json.loads((EXAMPLES / "results.json").read_text())
    for entry in results["entries"]:
        entry |= {"quality": [], "device": document["device"]}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    return path


def written(tmp_path, document, **changed):
    path = tmp_path / "accuracy.json"
    path.write_text(json.dumps(document | changed))
    return path


def test_quality_joins_the_latencies_of_its_file(measured, tmp_path, document):
    (found,) = loaded([written(tmp_path, document), measured])
    (quality,) = found.entries[0].quality
    known = [place for place, target in enumerate(document["targets"]) if target is not None]
    right = np.array([document["targets"][place] == document["classes"][place] for place in known])
    assert 0 < right.sum() < len(right) < len(document["images"])
    assert (quality.metric, quality.samples, quality.data) == ("top1", len(right), document["device"])
    assert (quality.value, quality.interval) == share(right)
    assert found.entries[1:] == load(measured).entries[1:]


def test_it_stands_by_itself_where_nothing_else_is_of_its_file(tmp_path, document):
    path = written(tmp_path, document)
    (found,) = loaded([path])
    assert (found.entries[0].summary, found.entries[0].quality[0].metric) == (None, "top1")
    assert report([path], tmp_path / "report.html").bytes > 100_000
    assert f"images of {document['device']}" in (tmp_path / "report.html").read_text()
    other = document | {"model": document["model"] | {"name": "falcon", "role": "compressed", "sha256": "0" * 64}}
    other["model"] |= {"parent": document["model"]["identity"], "identity": "1" * 64}
    (tmp_path / "falcon.json").write_text(json.dumps(other))
    rows = compare([path, tmp_path / "falcon.json"])
    assert [row.entry.quality[0].samples for row in rows] == [rows[0].entry.quality[0].samples] * 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"classes": None}, "does not answer with classes"),
        ({"targets": [None] * 6}, "none of its images lies in a folder that is called by a class"),
        ({"targets": [0]}, "1 answers or targets for 6 images"),
        ({"schema_version": 2}, "a record of version 2"),
        ({"images": 3}, "not a valid record: images"),
    ],
)
def test_what_cannot_be_judged_is_said(tmp_path, document, changed, said):
    with pytest.raises(BadInput, match=said):
        loaded([written(tmp_path, document, **changed)])
