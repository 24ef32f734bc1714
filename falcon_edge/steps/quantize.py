"""int8 within export: calibration images, one quantization for both runtimes, and what it costs in accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from onnx import ModelProto

from converters.errors import ConversionError
from converters.formats import format_for
from converters.onnx_graph import OnnxGraph
from converters.quantization.islands import float_islands
from converters.quantization.losses import Losses, losses
from converters.quantization.mixed import quantize_within
from converters.quantization.qdq import ActivationType, write_qdq
from converters.quantization.quantize import DEFAULT_METHOD, Quantized
from converters.quantization.quantize import quantize as quantize_graph
from converters.quantization.ranges import METHODS
from converters.runtimes import run_onnx
from converters.tflite.emit import pack_tflite
from converters.tflite.int8 import NoInt8Form
from falcon_edge.data import ClassMap, Dataset, spread
from falcon_edge.errors import BadInput, BelowAsked
from falcon_edge.manifest import IntegerValue, Quantization
from falcon_edge.preprocessing import InputSpec
from falcon_edge.training.images import Images

VALIDATION_IMAGES = 2000
MAX_DROP = 1.0


@dataclass(frozen=True)
class Int8:
    """How int8 files are made.

    data, samples: the images that ranges are taken from. calibration: a method of converters.quantization.ranges.
    integer_io: input and output are integers too. activations: of the .onnx, "uint8" or its twin "int8".
    keep_accuracy: points of top-1 that may be lost on validation images before layers are left in float (None: any).
    max_drop: points of top-1 that may be lost there at all, unless there is accept_loss.
    measure: time int8 against float32 on this machine, for the advice.
    class_map: which class of the data is which of the network, where their names do not say so.
    """

    data: str
    samples: int = 512
    calibration: str = DEFAULT_METHOD
    integer_io: bool = False
    activations: ActivationType = "uint8"
    keep_accuracy: float | None = None
    max_drop: float = MAX_DROP
    accept_loss: bool = False
    measure: bool = False
    class_map: ClassMap | None = None

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

    def __init__(self, options: Int8, dataset: Dataset, float_path: Path, spec: InputSpec):
        """dataset: that of `options`, with the network's classes; float_path: the float32 .onnx.

        Raises BadInput for data that do not fit its input.
        """
        self.options, self._float_path, self._data = options, float_path, dataset.name
        name, split = dataset.first("train", "val", "test")
        indices = spread(len(split), options.samples)
        self._calibration = split.subset(indices)
        self._names = [f"image {index} (from 0) of {name}" for index in indices]
        split = dataset.first("val", "test", "train")[1]
        validation = split.spread(VALIDATION_IMAGES)
        self._calibration_inputs = Inputs(Images(self._calibration, spec))
        self._inputs, self._labels = Inputs(Images(validation, spec)), np.asarray(validation.labels)

    @property
    def validation_images(self) -> int:
        """How many images top-1 is measured on."""
        return len(self._labels)

    @cached_property
    def float_top1(self) -> float:
        """Top-1 of the float32 .onnx on the validation images."""
        return self.top1(self._float_path)

    def quantize(self) -> tuple[Quantized, Quantization]:
        """Quantize the float32 .onnx so that both runtimes can follow, and what the manifest says of it."""
        options, float_top1 = self.options, self.float_top1  # measured before there is a graph to hold
        limit = None if options.keep_accuracy is None else float_top1 - options.keep_accuracy / 100
        kept: dict[str, str] = {}
        while True:
            done = self._quantized(kept, limit)
            try:
                pack_tflite(done.model, quantization=done.spec)
                break
            except NoInt8Form as error:
                kept |= error.nodes  # at least one node more in every round
        names = OnnxGraph(done.model)
        without = [v.name for v in (*names.inputs, *names.outputs) if v.name not in done.spec.activations]
        if without:
            raise ConversionError(f"{without[0]} is not of float32, so that int8 has no scale for it")
        source, target = (done.spec.activations[value.name] for value in (*names.inputs, *names.outputs))
        return done, Quantization(
            calibration=options.calibration,
            data=self._data,
            data_sha256=self._calibration.sha256(),
            samples=len(self._calibration),
            input=IntegerValue(scale=source.scale, zero_point=source.zero_point),
            output=IntegerValue(scale=target.scale, zero_point=target.zero_point),
            kept=dict(done.spec.kept),
            islands=float_islands(write_qdq(done.model, done.spec, activations=options.activations)),
        )

    def losses(self, quantized: Quantized) -> Losses:
        """What int8 costs layer by layer on calibration images."""
        return losses(quantized, self._calibration_inputs, self._names)

    def check_top1(self, file: str, top1: float) -> None:
        """Raise BelowAsked if an int8 file's top-1 on the validation images is worse than `max_drop` allows."""
        limit, lost = self.options.max_drop, 100 * (self.float_top1 - top1)
        if not self.options.accept_loss and lost > limit + 1e-9:
            raise BelowAsked(
                f"{file}: int8 loses {lost:.2f} points of top-1 ({100 * self.float_top1:.2f}% to {100 * top1:.2f}% on "
                f"{self.validation_images} validation images) and `max_drop` allows {limit:g}: `keep_accuracy` leaves "
                "layers in float, `accept_loss` exports it as it is"
            )

    def top1(self, source: Path | ModelProto) -> float:
        """Top-1 of a file or a graph, with float input and output, on the validation images."""
        if isinstance(source, Path):
            logits = format_for(source.suffix).run(source, self._inputs)
        else:
            logits = run_onnx(source, self._inputs)[0]
        return float((logits.argmax(1) == self._labels).mean())

    def _quantized(self, kept: dict[str, str], limit: float | None) -> Quantized:
        method, images = self.options.calibration, self._calibration_inputs
        if limit is None:
            return quantize_graph(self._float_path, images, method=method, kept=kept)

        def good_enough(tried: Quantized) -> bool:
            return self.top1(write_qdq(tried.model, tried.spec)) >= limit

        return quantize_within(self._float_path, images, good_enough, method=method, kept=kept)
