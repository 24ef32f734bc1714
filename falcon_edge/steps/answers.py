"""answers: what a model said of images on a phone, as the app's Accuracy screen shares it, and how good that is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import model_validator

from falcon_edge.documents import MAXIMUM_DOCUMENT, Document, parse_document, read_at_most
from falcon_edge.errors import BadInput
from falcon_edge.metrics import METRICS
from runtime_bench.environment import Environment
from runtime_bench.ranges import Count
from runtime_bench.results import Entry, ModelInfo, Quality, Results, RuntimeInfo, load

METRIC = METRICS["top1"]


class Record(Document):
    """accuracy.json of the app: a file of a model on a phone, and what it said of each image.

    images: their names, CLASS/FILE where they lay in folders. targets: by image the class that its folder is called by,
    null: none. classes: by image the class that was said; null where the model does not answer with classes.
    """

    schema_version: Literal[1] = 1
    created: str
    device: str
    before: Environment
    after: Environment
    model: ModelInfo
    runtime: RuntimeInfo
    reduction: Literal["classes", "none"]
    labels: tuple[str, ...]
    images: tuple[str, ...]
    targets: tuple[Count | None, ...]
    classes: tuple[Count, ...] | None

    @model_validator(mode="after")
    def _has_one_of_each_for_every_image(self) -> "Record":
        for each in (self.targets, self.classes):
            if each is not None and len(each) != len(self.images):
                raise ValueError(f"{len(each)} answers or targets for {len(self.images)} images")
        return self


def loaded(paths: Sequence[Path]) -> list[Results]:
    """Results files, and of files of answers the quality: with the entries of its file on that phone, or by itself.

    Raises BadInput, BenchInputError.
    """
    answers = {path: found for path in paths if (found := _answers(path)) is not None}
    results = [load(path) for path in paths if path not in answers]
    for path, each in answers.items():
        quality = _quality(each, path)
        given = [_with(one, each, quality) for one in results]
        results = given if given != results else [*results, _alone(each, quality)]
    return results


def _answers(path: Path) -> Record | None:
    """A file of answers; None for what is something else, which whoever reads that says."""
    try:
        data = read_at_most(path, MAXIMUM_DOCUMENT)
        document = json.loads(data)
    except (BadInput, OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or "images" not in document:
        return None
    return parse_document(data, path, Record)


def _quality(answers: Record, path: Path) -> Quality:
    if answers.classes is None:
        raise BadInput(
            f"{path}: {answers.model.file} does not answer with classes, of which folders tell; measure its quality by "
            "bench, with `data`"
        )
    known = [place for place, target in enumerate(answers.targets) if target is not None]
    if not known:
        raise BadInput(
            f"{path}: none of its images lies in a folder that is called by a class: push them in such folders"
        )
    said, targets = (np.array([each[place] for place in known]) for each in (answers.classes, answers.targets))
    found = METRIC.quality({"classes": said}, targets)
    return Quality(**vars(found), data=answers.device)


def _with(results: Results, answers: Record, quality: Quality) -> Results:
    """Results in which the entries of this file on this phone have the quality."""

    def given(entry: Entry) -> Entry:
        runtime = None if entry.runtime is None else entry.runtime.name
        alike = entry.model.sha256, runtime, entry.device
        if alike != (answers.model.sha256, answers.runtime.name, answers.device) or entry.quality:
            return entry
        return entry.model_copy(update={"quality": (quality,)})

    return results.model_copy(update={"entries": tuple(map(given, results.entries))})


def _alone(answers: Record, quality: Quality) -> Results:
    entry = Entry(
        model=answers.model, runtime=answers.runtime, device=answers.device, emulated=False, quality=(quality,)
    )
    return Results(
        created=answers.created,
        options={"device": answers.device, "threads": [answers.runtime.threads]},
        before=answers.before,
        after=answers.after,
        entries=(entry,),
    )
