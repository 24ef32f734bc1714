"""The network that a step works on: opened from a bundle or built by name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from converters.formats import ONNX
from converters.inspect import describe
from falcon_edge.bundle import PLAN, SUFFIX, WEIGHTS, Bundle, hint, is_bundle, open_bundle
from falcon_edge.data import ClassMap, Dataset, open_dataset
from falcon_edge.data.classes import labels_of, mapped_names, numbered
from falcon_edge.documents import read_document, whole_number
from falcon_edge.errors import BadInput
from falcon_edge.falcon import surgery
from falcon_edge.falcon.forward import evaluating, zeros_for
from falcon_edge.falcon.observe import unregistered
from falcon_edge.falcon.plan import Plan
from falcon_edge.falcon.units import unit_named
from falcon_edge.falcon.units.placing import places, put
from falcon_edge.falcon.units.unit import Unit
from falcon_edge.manifest import Architecture, Output, PlacedUnit
from falcon_edge.models.initialise import initialise
from falcon_edge.models.ordinary import ordinary
from falcon_edge.models.sources import BUILTIN, MAXIMUM_NETWORK, build, code_of
from falcon_edge.models.weight_files import read_state
from falcon_edge.models.weights import largest_file, load_weights
from falcon_edge.network import Network
from falcon_edge.notices import notice
from falcon_edge.outputs import check_one_input, outputs_of
from falcon_edge.preprocessing import input_spec_for
from falcon_edge.steps import graphs
from falcon_edge.steps.cards import read_card
from falcon_edge.steps.golden import raw_images
from falcon_edge.steps.normalisation import PHOTO_SIZE, guess, normalisation
from falcon_edge.steps.trust import require_trust

PHOTO_INPUT = (3, 224, 224)
PHOTO_SOURCES = ("timm:", "torchvision:")


@dataclass(frozen=True)
class Choice:
    """What the user says about a network that is built by name; None is filled from the data or the paper.

    unit: what stands in the place of its convolutions, with fresh weights (see falcon_edge.falcon.units).
    """

    model: str
    weights: Path | None = None
    input_shape: tuple[int, int, int] | None = None
    num_classes: int | None = None
    width: float = 1.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0
    weights_key: str | None = None
    trust_code: bool = False  # of a bundle's: a MODEL that names a function asks for it
    model_args: Mapping[str, Any] = field(default_factory=dict)  # what a function is called with besides
    unit: Unit | None = None


def open_with_data(
    choice: Choice, data: str | Path | Dataset | None, class_map: ClassMap | None = None
) -> tuple[Network, Dataset | None]:
    """The network of `choice` and DATA, if there is any, with its classes made the network's: names and order.

    Whoever needs both gets them here, so that no label can mean another class. Raises BadInput as `open_network` and
    for classes that cannot be matched.
    """
    if data is None:
        return open_network(choice), None
    return _opened(choice, open_dataset(data), class_map)


def open_network(choice: Choice, dataset: Dataset | None = None) -> Network:
    """The network of a bundle, or one built by name, with fresh seeded weights unless `weights` are given.

    `dataset` says what the choice leaves open; its labels are not made the network's. Raises BadInput for a bundle or
    network that is not there, weights or data that do not fit, an input that it refuses.
    """
    return _opened(choice, dataset)[0]


def _opened(
    choice: Choice, dataset: Dataset | None, class_map: ClassMap | None = None
) -> tuple[Network, Dataset | None]:
    """A network, and `dataset` with its classes."""
    path = Path(choice.model)
    if choice.unit is not None and (is_bundle(path) or path.suffix.lower() in (SUFFIX, ONNX.suffix)):
        raise BadInput(f"{path}: has its layers; a `unit` is put into a network that is built by name")
    if is_bundle(path) or path.suffix.lower() == SUFFIX:
        if replace(choice, seed=0, trust_code=False) != Choice(choice.model):
            raise BadInput(f"{path}: a bundle has its own weights, input and normalisation; leave those options out")
        return network_of(open_bundle(path), dataset, class_map, trust_code=choice.trust_code)
    if path.suffix.lower() == ONNX.suffix:
        return _from_graph(choice, path, dataset, class_map)
    if path.exists() and choice.model not in BUILTIN and ":" not in choice.model:
        raise BadInput(
            f"{choice.model}: a file or folder, but not a bundle; give a network's name and `weights` {path}"
        )
    if meant := hint(path):
        raise BadInput(f"{choice.model}: no such bundle{meant}")
    return _from_source(choice, dataset, class_map)


def network_of(
    bundle: Bundle, dataset: Dataset | None = None, class_map: ClassMap | None = None, *, trust_code: bool = False
) -> tuple[Network, Dataset | None]:
    """The network of a bundle that was opened, and `dataset` with its classes. Raises BadInput as `open_network`.

    trust_code: whether to import its code, where it has any that this user has not packed here.
    """
    path, manifest = bundle.path, bundle.manifest
    require_trust(path, manifest, trust_code=trust_code)
    if dataset is not None:
        dataset = dataset.of_classes(manifest.labels, str(path), class_map)
    architecture = manifest.architecture
    plan = read_document(bundle.file(PLAN), Plan)
    if architecture.source == graphs.SOURCE:
        network, shape = graphs.network_in(bundle.file(graphs.FILE), str(path))
        if shape != manifest.input.shape:
            raise BadInput(f"{path}: its graph takes {shape}, its manifest says {manifest.input.shape}; make it again")
    else:
        network = _rebuilt(bundle, plan)
    opened = Network(
        network.eval(),
        manifest.name,
        architecture,
        manifest.input,
        manifest.labels,
        manifest.outputs,
        plan,
        manifest.lineage,
        raw_images(bundle),
        called=str(path),
    )
    return opened, dataset


def _rebuilt(bundle: Bundle, plan: Plan) -> nn.Module:
    """The network of a bundle whose architecture is code or a name, its plan applied and its weights loaded."""
    architecture = bundle.manifest.architecture
    network = _built(architecture, bundle.manifest.input.shape)[0]
    if architecture.unit is not None:
        network = _with_unit(network, architecture.unit)
    network = surgery.apply(network, plan.replaced, removed=plan.removed, fit=False, in_place=True)
    try:
        network.load_state_dict(read_state(bundle.file(WEIGHTS), largest_file(network)))
    except (RuntimeError, ValueError) as error:
        raise BadInput(
            f"{bundle.path}: its weights do not fit {architecture.source}; was the network changed since?"
        ) from error
    return network


def _from_source(choice: Choice, dataset: Dataset | None, class_map: ClassMap | None) -> tuple[Network, Dataset | None]:
    shape = _input_shape(choice, dataset)
    names = () if dataset is None or not dataset.class_names else mapped_names(dataset.class_names, class_map)
    num_classes = choice.num_classes if choice.num_classes is not None else len(names) or None
    architecture = Architecture(
        source=choice.model,
        num_classes=num_classes,
        in_channels=shape[0],
        width=choice.width,
        model_args=_kept(choice.model_args),
    )
    torch.manual_seed(choice.seed)
    network, done = _built(architecture, shape)
    fresh = choice.weights is None and _fresh(network, architecture, shape, choice.seed)
    advice = "" if choice.input_shape is not None else "; if it takes another one, say so with `input_shape`"
    if choice.unit is not None:
        answer(choice.model, network, shape, advice)
        found = places(network, shape, choice.unit)
        placed = PlacedUnit(name=choice.unit.name, options=choice.unit.options, layers=found.layers)
        architecture = architecture.model_copy(update={"unit": placed})
        network = _with_unit(network, placed)
        for layer in placed.layers:
            initialise(network.get_submodule(layer))
        done += tuple(f"{name} stays a standard convolution: {reason}" for name, reason in found.kept.items())
    for words in done:
        notice(f"{choice.model}: {words}")
    if choice.weights is not None:
        load_weights(network, choice.weights, choice.weights_key)
    elif choice.weights_key is not None:
        raise BadInput("`weights_key` chooses among the weights of a file: give it with `weights`")
    outputs = answer(choice.model, network, shape, advice)
    if lost := unregistered(network, shape):
        raise BadInput(
            f"{choice.model}: computes with {'x'.join(map(str, lost[0]))} weights that are none of its parameters, and "
            "no bundle would keep them: hold its layers in an nn.ModuleList or nn.ModuleDict"
        )
    name = choice.model.replace(":", "-").replace("/", "-")
    built = Built(network, name, architecture, shape, outputs, fresh)
    return _met(built, choice, names, dataset, class_map)


def _from_graph(
    choice: Choice, path: Path, dataset: Dataset | None, class_map: ClassMap | None
) -> tuple[Network, Dataset | None]:
    """The network of an .onnx, which has its own weights and input, and where it is one of ours says what they mean."""
    own = replace(choice, mean=None, std=None, seed=0, trust_code=False)
    if own != Choice(choice.model):
        raise BadInput(f"{path}: has its own weights and input; leave those options out")
    network, shape = graphs.network_in(path)
    names = () if dataset is None or not dataset.class_names else mapped_names(dataset.class_names, class_map)
    architecture = Architecture(source=graphs.SOURCE, in_channels=shape[0])
    built = Built(network, path.stem, architecture, shape, answer(choice.model, network, shape))
    card = read_card(path, describe(path))
    if card is not None and (card.input.shape, card.outputs) == (shape, built.outputs):
        dataset = None if dataset is None else dataset.of_classes(card.labels, str(path), class_map)
        said = normalisation(choice.mean, choice.std, shape, None) if choice.mean or choice.std else card.input
        spec = card.input.model_copy(update={"mean": said.mean, "std": said.std})
        opened = Network(network, built.name, architecture, spec, card.labels, built.outputs)
        return replace(opened, called=choice.model), dataset
    opened, dataset = _met(built, choice, names, dataset, class_map)
    return replace(opened, called=choice.model), dataset


@dataclass(frozen=True)
class Built:
    """A module for (B, C, H, W), and what is known of it before it meets data."""

    module: nn.Module
    name: str
    architecture: Architecture
    shape: tuple[int, int, int]
    outputs: tuple[Output, ...]
    fresh: bool = False


def _met(
    built: Built, choice: Choice, names: tuple[str, ...], dataset: Dataset | None, class_map: ClassMap | None
) -> tuple[Network, Dataset | None]:
    """A network that was built, with the labels and the normalisation that the choice or the data gives it."""
    shape = built.shape
    labels, dataset = _labelled(choice.model, built.outputs[0], names, dataset, class_map)
    chosen = normalisation(choice.mean, choice.std, shape, dataset)
    channels = shape[0] if dataset is None else dataset.channels
    try:
        images = shape[1:] + shape[:1] if dataset is None else dataset.image_shape
        spec = input_spec_for(images, channels, shape, chosen.mean, chosen.std)
    except ValueError as error:
        raise BadInput(f"{choice.model} and the data do not fit: {error}") from error
    guessed = guess(chosen) if chosen.whose else None
    opened = Network(built.module, built.name, built.architecture, spec, labels, built.outputs, guessed=guessed)
    return replace(opened, fresh=built.fresh), dataset


def _input_shape(choice: Choice, dataset: Dataset | None) -> tuple[int, int, int]:
    """(C, H, W): what the user says, or the paper with the data's channels, or the images' where they are of one size.

    Raises BadInput for a user's network and images of several sizes: any size would do for some networks.
    """
    builtin = BUILTIN.get(choice.model)
    if choice.input_shape is not None:
        return choice.input_shape
    if builtin is not None:
        small = dataset is not None and builtin.input_shape[1] < PHOTO_SIZE
        return (dataset.channels, *builtin.input_shape[1:]) if dataset is not None and small else builtin.input_shape
    if dataset is None or choice.model.startswith(PHOTO_SOURCES):
        return PHOTO_INPUT
    if dataset.image_shape is None:
        raise BadInput(
            f"{dataset.source}: its images differ in size, so that the input of {choice.model} is not known: give it "
            "with `input_shape`, as in 3x224x224"
        )
    return (dataset.image_shape[2], *dataset.image_shape[:2])


def _labelled(
    model: str, first: Output, names: tuple[str, ...], dataset: Dataset | None, class_map: ClassMap | None
) -> tuple[tuple[str, ...], Dataset | None]:
    """The labels of a network without names by its first output, and the data with its classes.

    `names`, of the data, are the labels where they are as many as the network's classes; else a class map, or labels
    that are numbers, say which class is which. Where neither has classes there are no labels, but for a row of numbers.
    """
    kinds = {"classes": "classes", "map": "masks", "values": None}
    count = first.shape[0] if first.shape else 0
    if dataset is None or dataset.kind is None or dataset.kind != kinds[first.kind]:
        if class_map is not None and dataset is not None:
            dataset.of_classes((), model, class_map)
        numbers = tuple(map(str, range(count))) if first.kind == "classes" else ()
        return names if first.kind == "values" else numbers, dataset
    if not dataset.class_names:
        return tuple(map(str, range(count))), dataset
    if len(names) == count:
        return names, dataset.of_classes(names, model, class_map)
    if names and not (numbered(names) and len(names) < count):
        raise BadInput(f"{model} has {count} classes, but the data has {len(names)}: use `num_classes` or `class_map`")
    numbers = tuple(map(str, range(count)))
    matched = dataset.of_classes(numbers, model, class_map)
    labels = labels_of(dataset.class_names, numbers, class_map)
    return labels, replace(matched, class_names=labels)


def _kept(model_args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as a bundle keeps them: those that JSON has. Raises BadInput for others."""
    try:
        kept: dict[str, Any] = json.loads(json.dumps(dict(model_args), allow_nan=False), parse_int=whole_number)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"`model_args`: a bundle keeps numbers, texts, booleans, lists and tables only ({error})"
        ) from error
    return kept


def _built(architecture: Architecture, shape: tuple[int, int, int]) -> tuple[nn.Module, tuple[str, ...]]:
    """The network by name, made an ordinary one whose weights have their shapes, and what was done to it."""
    source = architecture.source
    try:
        network, done = ordinary(build(**architecture.model_dump(exclude={"unit"})))
    except BadInput as error:
        raise BadInput(str(error) if str(error).startswith(source) else f"{source}: {error}") from error
    if any(isinstance(parameter, nn.UninitializedParameter) for parameter in network.parameters()):
        answer(source, network, shape)  # lazy modules take their shapes from the first input
    return network, done


def _fresh(network: nn.Module, architecture: Architecture, shape: tuple[int, int, int], seed: int) -> bool:
    """Whether a network that was built under `seed` has random weights alone: under another seed all are others.

    A function of the user's may read trained ones.
    """
    if code_of(architecture.source) is None:
        return True
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        other = dict(_built(architecture, shape)[0].named_parameters())
    weights = {name: each for name, each in network.named_parameters() if each.requires_grad and each.ndim > 1}
    return not any(
        name in other and torch.equal(each, other[name]) and bool((each != each.flatten()[0]).any())
        for name, each in weights.items()
    )


def _with_unit(network: nn.Module, placed: PlacedUnit) -> nn.Module:
    """The network with units in the place of convolutions, counted before they take memory."""
    return put(network, placed.layers, unit_named(placed.name, placed.options), MAXIMUM_NETWORK // 4)


def answer(source: str, network: nn.Module, shape: tuple[int, int, int], advice: str = "") -> tuple[Output, ...]:
    """The outputs for an image. Raises BadInput if there are none, or none of numbers: see `outputs_of`."""
    check_one_input(source, network)
    with evaluating(network):
        return outputs_of(source, network, zeros_for(network, shape), advice)
