"""DATA for bench: images prepared for every kind of input, and what says how good a device's answers to them are."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from converters.formats import format_for
from converters.parity import usual
from falcon_edge.data import ClassMap, Dataset, open_dataset
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Output
from falcon_edge.metrics import Outputs, Own
from falcon_edge.preprocessing import InputSpec, batch_pixels, normalise
from falcon_edge.steps.judging import Judge, MetricChoice, judge_for, named
from runtime_bench.bench import Evaluation
from runtime_bench.errors import WorkerError
from runtime_bench.results import Quality

TRIED = 50  # images on which a metric is tried before anything is measured


class Evaluations:
    """The test images of DATA, prepared once for every kind of input, and what says how good the answers are."""

    def __init__(
        self, data: str | Dataset, class_map: ClassMap | None, metric: MetricChoice, samples: int | None, folder: Path
    ):
        dataset = open_dataset(data)
        if samples is not None and samples < 1:
            raise BadInput(f"{samples} images: quality needs at least 1")
        self._test, self._samples = replace(dataset, train=None, val=None, test=dataset.require("test")), samples
        self._name, self._folder, self._class_map, self._metric = dataset.name, folder, class_map, metric
        self._files: dict[str, Path] = {}
        self._standards: dict[str, Path] = {}  # the float32 .onnx of standard networks, by their identities
        self._compared: dict[Path, tuple[str, ...]] = {}  # what has to be compared with one of them
        self._references: dict[tuple[Path, Path], Outputs] = {}

    def standard(self, identity: str, file: Path) -> None:
        """Tell of a standard network, with which those that came from it are compared where there are no targets."""
        self._standards.setdefault(identity, file)

    def check(self) -> None:
        """Raise BadInput for a network whose standard, which is needed, is not among what is measured."""
        for path, identities in self._compared.items():
            if not any(identity in self._standards for identity in identities):
                raise BadInput(
                    f"{path}: {self._name} has no targets, so that answers are compared with those of the standard "
                    "network: measure its bundle, exported in fp32 for onnx, too"
                )

    def evaluation(
        self,
        spec: InputSpec,
        labels: Sequence[str],
        outputs: tuple[Output, ...],
        path: Path,
        identities: tuple[str, ...],
        trial: Path | None,
    ) -> Evaluation:
        """What is needed to find out how good a network with this input and these outputs and classes is.

        identities: its own, and that of the network that it came from. trial: a file of it, with float32 input, that a
        metric of the user's is tried on.
        """
        split = self._test.of_classes(labels, str(path), self._class_map).require("test")
        # Spread, not the first ones: image folders are sorted by class. A map leaves out the same images for all.
        split = split if self._samples is None else split.spread(self._samples)
        key = json.dumps([spec.shape, [step.model_dump() for step in spec.steps]])
        if key not in self._files:
            file = self._folder / f"pixels-{len(self._files)}.npy"
            try:
                np.save(file, batch_pixels(split.images, spec))
            except ValueError as error:
                raise BadInput(f"{path}: the data does not fit its input: {error}") from error
            self._files[key] = file
        pixels = self._files[key]
        judge = judge_for(split, spec, outputs, self._metric, where=str(self._test.source))
        if judge.metric is None:
            self._compared[path] = identities
        elif isinstance(judge.metric, Own) and trial is not None:
            _try(judge, trial, pixels, spec)

        def score(answers: Sequence[np.ndarray]) -> list[Quality]:
            reference = None if judge.metric is not None else self._reference(identities, judge, pixels, spec)
            try:
                found = judge.judged(named(outputs[: len(answers)], answers), reference)
            except BadInput as error:
                raise WorkerError(str(error), kind="metric") from error
            return [Quality(**vars(each), data=self._name) for each in found]

        return Evaluation(
            self._name,
            pixels,
            len(split),
            spec.mean,
            spec.std,
            judge.names,
            score,
            only_classes=judge.only_classes,
            exact=judge.metric is None,
        )

    def _reference(self, identities: Sequence[str], judge: Judge, pixels: Path, spec: InputSpec) -> Outputs:
        """What the standard network answers, on this machine."""
        file = next(self._standards[identity] for identity in identities if identity in self._standards)
        if (file, pixels) not in self._references:
            self._references[file, pixels] = host_answers(judge, file, np.load(pixels, mmap_mode="r"), spec)
        return self._references[file, pixels]


def _try(judge: Judge, file: Path, pixels: Path, spec: InputSpec) -> None:
    """Raise BadInput for a metric that does not take what a file answers to the first images."""
    images = np.load(pixels, mmap_mode="r")[:TRIED]
    assert judge.targets is not None
    few = replace(judge, targets=judge.targets[: len(images)])
    few.judged(host_answers(few, file, images, spec))


def host_answers(judge: Judge, file: Path, images: np.ndarray, spec: InputSpec) -> Outputs:
    """What a file answers on this machine to images (N, H, W, C) as read for its input, and has to be kept of it."""
    form = format_for(file.suffix)
    inputs = (normalise(image[None], spec)[0] for image in images)
    rows = (usual(row, form.layout) for row in form.each(file, inputs))
    return judge.collected(named(judge.outputs, row) for row in rows)
