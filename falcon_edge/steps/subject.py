"""The network that a step works on: opened from a bundle or built by name, and written as a bundle."""

import hashlib
import importlib.metadata
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from falcon_edge.bundle import (
    PLAN,
    SUFFIX,
    WEIGHTS,
    Architecture,
    Golden,
    Lineage,
    Manifest,
    MeasuredAccuracy,
    Output,
    Parent,
    Step,
    canonical_json,
    is_bundle,
    open_bundle,
    read_document,
    write_bundle,
)
from falcon_edge.data import Dataset, channel_statistics
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.cost import cost, forward_zeros
from falcon_edge.falcon.plan import Plan, make_plan
from falcon_edge.models.ordinary import ordinary
from falcon_edge.models.sources import BUILTIN, build
from falcon_edge.models.weight_files import read_state
from falcon_edge.models.weights import largest_file, load_weights
from falcon_edge.notices import notice
from falcon_edge.place import Place
from falcon_edge.preprocessing import InputSpec, input_spec_for
from falcon_edge.steps.golden import golden_inputs, raw_images

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PHOTO_SIZE = 160
PHOTO_SOURCES = ("timm:", "torchvision:")
TOOLS = ("torch", "numpy", "onnx", "onnxruntime", "onnxsim", "ai-edge-litert", "safetensors")


@dataclass(frozen=True)
class Choice:
    """What the user says about a network that is built by name; None is filled from the data or the paper."""

    model: str
    weights: Path | None = None
    input_shape: tuple[int, int, int] | None = None
    num_classes: int | None = None
    width: float = 1.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0
    weights_key: str | None = None


@dataclass(frozen=True)
class Subject:
    """A network in eval mode and everything that a bundle says about it."""

    network: nn.Module
    name: str
    architecture: Architecture
    input: InputSpec
    labels: tuple[str, ...]
    plan: Plan | None = None
    lineage: Lineage | None = None
    images: tuple[np.ndarray, ...] = ()  # raw ones, of the golden vectors of the bundle that it came from

    @property
    def compressed(self) -> bool:
        """Whether a plan was applied to it."""
        return self.lineage is not None and self.lineage.role == "compressed"


def open_subject(choice: Choice, dataset: Dataset | None = None) -> Subject:
    """The network of a bundle, or one built by name, with fresh seeded weights unless `weights` are given.

    Raises BadInput for a bundle or network that is not there, weights or data that do not fit, an input that it
    refuses.
    """
    path = Path(choice.model)
    if is_bundle(path) or path.suffix == SUFFIX:
        if replace(choice, seed=0) != Choice(choice.model):
            raise BadInput(f"{path}: a bundle has its own weights, input and normalisation; leave those options out")
        return _from_bundle(path, dataset)
    if path.exists() and choice.model not in BUILTIN and ":" not in choice.model:
        raise BadInput(
            f"{choice.model}: a file or folder, but not a bundle; give a network's name and --weights {path}"
        )
    return _from_source(choice, dataset)


def _from_bundle(path: Path, dataset: Dataset | None) -> Subject:
    bundle = open_bundle(path)
    manifest = bundle.manifest
    if dataset is not None and len(dataset.class_names) != len(manifest.labels):
        raise BadInput(f"{path}: has {len(manifest.labels)} classes, but the data has {len(dataset.class_names)}")
    architecture = manifest.architecture
    network = _built(
        architecture.source,
        manifest.input.shape,
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        width=architecture.width,
    )[0]
    plan = read_document(bundle.file(PLAN), Plan)
    network = surgery.apply(network, plan.replaced, fit=False, in_place=True)
    try:
        network.load_state_dict(read_state(bundle.file(WEIGHTS), largest_file(network)))
    except (RuntimeError, ValueError) as error:
        raise BadInput(
            f"{path}: its weights do not fit {architecture.source}; was the network changed since?"
        ) from error
    return Subject(
        network.eval(),
        manifest.name,
        architecture,
        manifest.input,
        manifest.labels,
        plan,
        manifest.lineage,
        raw_images(bundle),
    )


def _from_source(choice: Choice, dataset: Dataset | None) -> Subject:
    builtin = BUILTIN.get(choice.model)
    image_shape = None if dataset is None else dataset.image_shape
    if choice.input_shape is not None:
        shape = choice.input_shape
    elif builtin is not None and dataset is not None and builtin.input_shape[1] < PHOTO_SIZE:
        shape = (dataset.channels, *builtin.input_shape[1:])
    elif builtin is not None:
        shape = builtin.input_shape
    elif image_shape is not None and not choice.model.startswith(PHOTO_SOURCES):
        shape = (image_shape[2], *image_shape[:2])
    else:
        shape = (3, 224, 224)
    labels = () if dataset is None else dataset.class_names
    num_classes = choice.num_classes if choice.num_classes is not None else len(labels) or None
    torch.manual_seed(choice.seed)
    network, done = _built(choice.model, shape, num_classes=num_classes, in_channels=shape[0], width=choice.width)
    for words in done:
        notice(f"{choice.model}: {words}")
    if choice.weights is not None:
        load_weights(network, choice.weights, choice.weights_key)
    elif choice.weights_key is not None:
        raise BadInput("--weights-key chooses among the weights of a file: give it with --weights")
    classes = _answer(choice.model, network, shape).shape
    if len(classes) != 2:
        raise BadInput(
            f"{choice.model} gives an output of shape {tuple(classes)}; a classifier gives (images, classes)"
        )
    if labels and classes[1] != len(labels):
        raise BadInput(f"{choice.model} has {classes[1]} classes, but the data has {len(labels)}: use --num-classes")
    mean, std = _normalisation(choice, shape, dataset)
    channels = shape[0] if dataset is None else dataset.channels
    try:
        spec = input_spec_for(shape[1:] + shape[:1] if dataset is None else image_shape, channels, shape, mean, std)
    except ValueError as error:
        raise BadInput(f"{choice.model} and the data do not fit: {error}") from error
    architecture = Architecture(source=choice.model, num_classes=num_classes, in_channels=shape[0], width=choice.width)
    name = choice.model.replace(":", "-").replace("/", "-")
    return Subject(network, name, architecture, spec, labels or tuple(str(index) for index in range(classes[1])))


def _built(
    source: str,
    shape: tuple[int, int, int],
    *,
    num_classes: int | None,
    in_channels: int | None,
    width: float,
) -> tuple[nn.Module, tuple[str, ...]]:
    """The network by name, made an ordinary one whose weights have their shapes, and what was done to it."""
    try:
        network, done = ordinary(build(source, num_classes=num_classes, in_channels=in_channels, width=width))
    except BadInput as error:
        raise BadInput(str(error) if str(error).startswith(source) else f"{source}: {error}") from error
    if any(isinstance(parameter, nn.UninitializedParameter) for parameter in network.parameters()):
        _answer(source, network, shape)  # lazy modules take their shapes from the first input
    return network, done


def _answer(source: str, network: nn.Module, shape: tuple[int, int, int]) -> torch.Tensor:
    """The output for an image of zeros. Raises BadInput if there is none, or none of numbers."""
    words = "x".join(map(str, shape))
    try:
        output = forward_zeros(network, shape)
    except Exception as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{source} does not take an input of {words}: {text}") from error
    if not isinstance(output, torch.Tensor):
        raise BadInput(f"{source} gives a {type(output).__name__}; a classifier gives a tensor (images, classes)")
    if not torch.isfinite(output).all():
        raise BadInput(f"{source} answers an image of zeros with values that are not finite; look at its weights")
    return output


def _normalisation(
    choice: Choice, shape: tuple[int, int, int], dataset: Dataset | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std: what the user says; ImageNet's for photo networks; else the data's; else 0.5."""
    if (choice.mean is None) != (choice.std is None):
        raise BadInput("--mean and --std go together")
    if choice.mean is not None and choice.std is not None:
        if len(choice.mean) != shape[0] or len(choice.std) != shape[0]:
            raise BadInput(f"--mean and --std need {shape[0]} numbers each")
        if not (all(map(math.isfinite, choice.mean)) and all(0 < number < math.inf for number in choice.std)):
            raise BadInput("--mean and --std are finite numbers, std above 0")
        return choice.mean, choice.std
    if shape[0] == 3 and min(shape[1:]) >= PHOTO_SIZE:
        return IMAGENET_MEAN, IMAGENET_STD
    if dataset is not None:
        split = dataset.train or dataset.val or dataset.test
        assert split is not None
        mean, std = channel_statistics(split)
        if len(mean) == shape[0]:
            return mean, std
        if len(mean) == 1:
            return mean * shape[0], std * shape[0]
    return (0.5,) * shape[0], (0.5,) * shape[0]


def write_subject(
    place: Place,
    subject: Subject,
    *,
    step: Step,
    dataset: Dataset | None,
    accuracy: Sequence[MeasuredAccuracy] = (),
    parent: Parent | None = None,
    earlier: Sequence[Step] = (),
) -> Manifest:
    """Write a bundle of `subject` (weights, plan, golden inputs, manifest) and return its manifest."""
    spec = subject.input
    plan = subject.plan or make_plan(subject.network, spec.shape, {})
    weights = weights_bytes(subject.network)
    total = cost(subject.network, spec.shape)
    vectors, files = golden_inputs(spec, dataset, subject.images)
    with write_bundle(place) as draft:
        draft.write(WEIGHTS, weights)
        draft.write(PLAN, canonical_json(plan))
        for name, data in files.items():
            draft.write(name, data)
        draft.manifest = Manifest(
            name=place.path.stem,
            architecture=subject.architecture,
            input=spec,
            labels=subject.labels,
            outputs=(Output(shape=(len(subject.labels),)),),
            lineage=Lineage(
                identity=hashlib.sha256(weights).hexdigest(),
                role="compressed" if plan.replaced else "standard",
                parent=parent,
                steps=(*earlier, step),
            ),
            parameters=total.parameters,
            macs=total.macs,
            accuracy=tuple(accuracy),
            golden=Golden(vectors=vectors),
            tools=tool_versions(),
        )
    return draft.manifest


def weights_bytes(network: nn.Module) -> bytes:
    """The state dict in safetensors' format: the same weights give the same bytes."""
    from safetensors.torch import save

    return save({name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()})


def tool_versions() -> dict[str, str]:
    """Versions of what made a bundle; a package that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for package in ("falcon-edge", *TOOLS):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
