"""int8 within export: calibration images, one quantization for both runtimes, and what it costs in quality."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from onnx import ModelProto

from converters.errors import ConversionError
from converters.formats import format_for
from converters.onnx_graph import OnnxGraph
from converters.parity import usual
from converters.passes.rewrites.multiplied_back import NAME as MULTIPLIED
from converters.passes.rewrites.rules import RECORDED, Rules
from converters.quantization.islands import float_islands
from converters.quantization.losses import Losses, losses
from converters.quantization.mixed import quantize_within
from converters.quantization.qdq import ActivationType, integer_outputs, write_qdq
from converters.quantization.quantize import DEFAULT_METHOD, Quantized
from converters.quantization.quantize import quantize as quantize_graph
from converters.quantization.ranges import METHODS
from converters.runtimes import each_onnx
from converters.tflite.emit import pack_tflite
from converters.tflite.int8 import NoInt8Form
from falcon_edge.data import ClassMap, Dataset, spread
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.manifest import IntegerValue, Manifest, Output, Quantization
from falcon_edge.metrics import Outputs, Quality
from falcon_edge.notices import notice
from falcon_edge.steps.held_out import for_choices
from falcon_edge.steps.judging import Judge, MetricChoice, judge_for, named
from falcon_edge.training.images import Images
from runtime_bench.units import measure, metric

VALIDATION_IMAGES = 2000
MAX_DROP = 1.0


@dataclass(frozen=True)
class Int8:
    """How int8 files are made.

    data, samples: the images that ranges are taken from. calibration: a method of converters.quantization.ranges.
    integer_io: input and output are integers too. activations: of the .onnx, "uint8" or its twin "int8".
    metric: what quality is measured by, on validation images; by default what their targets are for, and without
    any the share of decisions that are those of float32. keep_accuracy: how much of it may be lost before layers are
    left in float (None: any); max_drop: how much at all, unless there is accept_loss: points of a share (percent), else
    in the metric's unit.
    measure: time int8 against float32 on this machine, for the advice.
    rules: where a rewrite of the graph makes a runtime faster (converters.passes.rewrites). times: a file in which they
    were timed, which comes before the rules; of this device, where it has several.
    class_map: which class of the data is which of the network, where their names do not say so.
    """

    data: str | Dataset
    samples: int = 512
    calibration: str = DEFAULT_METHOD
    integer_io: bool = False
    activations: ActivationType = "uint8"
    keep_accuracy: float | None = None
    max_drop: float = MAX_DROP
    accept_loss: bool = False
    measure: bool = False
    class_map: ClassMap | None = None
    metric: MetricChoice = None
    rules: Rules = RECORDED
    times: str | Path | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.calibration not in METHODS:
            raise BadInput(f"`calibration` {self.calibration}: there are {', '.join(METHODS)}")
        if self.samples < 1:
            raise BadInput("calibration needs at least one image")
        for name, points in (("keep_accuracy", self.keep_accuracy), ("max_drop", self.max_drop)):
            if points is not None and not points >= 0:
                raise BadInput(f"`{name}` is at least 0 points")


class Inputs(Sequence[np.ndarray]):
    """What a network eats, float32 (C, H, W) each, made of the pixels of images when it is asked for.

    In float32 2,000 images of 224 x 224 pixels have 1.2 GB, in uint8 a quarter of that.
    """

    def __init__(self, images: Images):
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | list[np.ndarray]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        inputs: np.ndarray = self._images.inputs(self._images.pixels(np.array([places])))[0].numpy()
        return inputs


class Quantizer:
    """The images of one network's quantization: some to calibrate with, others to see what it costs."""

    def __init__(
        self, options: Int8, dataset: Dataset, float_path: Path, manifest: Manifest, outputs: tuple[Output, ...]
    ):
        """dataset: that of `options`, with the network's classes; float_path: the float32 .onnx, with these outputs.

        Raises BadInput for data that do not fit its input.
        """
        self.options, self._float_path, self._data = options, float_path, dataset.name
        name, split = dataset.first("train", "val", "test")
        indices = spread(len(split), options.samples)
        self._calibration = split.subset(indices)
        self._names = [f"image {index} (from 0) of {name}" for index in indices]
        self._judged_on, split = for_choices(dataset, manifest.lineage.steps)
        validation, spec = split.spread(VALIDATION_IMAGES), manifest.input
        self._calibration_inputs = Inputs(Images(self._calibration, spec))
        self._inputs = Inputs(Images(validation, spec))
        self._judge: Judge = judge_for(validation, spec, outputs, options.metric, where=str(dataset.source))

    @cached_property
    def _float_answers(self) -> Outputs:
        return self._answers(self._float_path)

    @cached_property
    def float_quality(self) -> Quality | None:
        """How good the float32 .onnx is on the validation images; None where nothing can be lost."""
        return self._judged(self._float_answers)

    def quantize(self) -> tuple[Quantized, Quantization]:
        """Quantize the float32 .onnx so that both runtimes can follow, and what the manifest says of it."""
        options, best = self.options, self.float_quality  # measured before there is a graph to hold
        limit = options.keep_accuracy
        if best is None and limit is not None:
            raise BadInput(
                f"`keep_accuracy` {limit:g}: nothing is decided by these outputs, and the data has no targets; give a "
                "`metric` and data with targets"
            )
        if limit is not None and self._judged_on != "validation":
            notice(
                f"{self._data}: has no validation images that the network is known not to have learned, so that "
                f"`keep_accuracy` goes by {self._judged_on} images"
            )
        done = for_both_runtimes(lambda kept: self._quantized(kept, limit))
        graph, scales = OnnxGraph(done.model), done.spec.activations
        image = graph.inputs[0].name
        if image not in scales:
            raise ConversionError(f"{image} is not of float32, so that int8 has no scale for it")

        def integers(name: str) -> IntegerValue:
            return IntegerValue(scale=scales[name].scale, zero_point=scales[name].zero_point)

        return done, Quantization(
            calibration=options.calibration,
            data=self._data,
            data_sha256=self._calibration.sha256(),
            samples=len(self._calibration),
            input=integers(image),
            outputs={name: integers(name) for name in integer_outputs(graph, done.spec)},
            kept=dict(done.spec.kept),
            islands=float_islands(write_qdq(done.model, done.spec, activations=options.activations)),
            multiplied=done.multiplied.nodes.get(MULTIPLIED, ()),
        )

    def losses(self, quantized: Quantized) -> Losses:
        """What int8 costs layer by layer on calibration images."""
        return losses(quantized, self._calibration_inputs, self._names)

    def check_quality(self, file: str, found: Quality | None) -> None:
        """Raise BelowAsked if an int8 file's quality on the validation images is worse than `max_drop` allows."""
        limit, best = self.options.max_drop, self.float_quality
        if best is None or found is None or self.options.accept_loss:
            return
        lost = loss_of(best, found)
        if lost > limit + 1e-9:
            raise BelowAsked(
                f"{file}: int8 loses {said_loss(best, lost)} ({measure(best.value, best.unit)} to "
                f"{measure(found.value, found.unit)} on {found.samples} {self._judged_on} images) and `max_drop` "
                f"allows {limit:g}: `keep_accuracy` leaves layers in float, `accept_loss` exports it as it is"
            )

    def quality(self, source: Path | ModelProto) -> Quality | None:
        """How good a file or a graph, with float input and outputs, is on the validation images."""
        return self._judged(self._answers(source))

    def _judged(self, found: Outputs) -> Quality | None:
        """By the metric; without targets, by the share of decisions that are those of float32, if there are any."""
        reference = None if self._judge.metric is not None else self._float_answers
        each = self._judge.judged(found, reference)
        if self._judge.metric is not None:
            return each[0]
        same = [quality for quality in each if quality.unit == "share"]
        return min(same, key=lambda quality: quality.value, default=None)

    def _answers(self, source: Path | ModelProto) -> Outputs:
        outputs = self._judge.outputs
        if isinstance(source, Path):
            form = format_for(source.suffix)
            rows = (usual(row, form.layout) for row in form.each(source, self._inputs))
        else:
            rows = (list(row) for row in each_onnx(source, self._inputs))
        return self._judge.collected(named(outputs, row) for row in rows)

    def _quantized(self, kept: dict[str, str], limit: float | None) -> Quantized:
        method, images, rules = self.options.calibration, self._calibration_inputs, self.options.rules
        if limit is None:
            return quantize_graph(self._float_path, images, method=method, kept=kept, rules=rules)
        best = self.float_quality
        assert best is not None

        def good_enough(tried: Quantized) -> bool:
            found = self.quality(write_qdq(tried.model, tried.spec))
            return found is not None and loss_of(best, found) <= limit + 1e-9

        return quantize_within(self._float_path, images, good_enough, method=method, kept=kept, rules=rules)


def for_both_runtimes(quantized: Callable[[dict[str, str]], Quantized]) -> Quantized:
    """What is quantized with nodes `kept` in float, by name and why: those that TFLite has no int8 form of."""
    kept: dict[str, str] = {}
    while True:
        done = quantized(kept)
        try:
            pack_tflite(done.model, quantization=done.spec)
            return done
        except NoInt8Form as error:
            kept |= error.nodes  # at least one node more in every round


def loss_of(best: Quality, found: Quality) -> float:
    """What was lost of a metric: points of a share (percent), else in its unit; below 0 where it was gained."""
    lost = best.value - found.value if best.higher_is_better else found.value - best.value
    return 100 * lost if best.unit == "share" else lost


def said_loss(best: Quality, lost: float) -> str:
    """As in '1.20 points of top-1' and '0.31 dB of PSNR'."""
    name = "equal decisions" if best.metric.startswith("same:") else metric(best.metric)
    if best.unit == "share":
        return f"{lost:.2f} points of {name}"
    return f"{lost:.2f} dB of {name}" if best.unit == "dB" else f"{lost:.3g} of {name}"
