"""The weights of a file that belong to a network, found by its own names and shapes.

Whatever a trainer calls the dictionary that holds them, and whatever prefix its wrappers gave their names (`module.`,
`_orig_mod.`, `model.`): the network's names are looked for as the ends of the file's names, and weights are taken where
all of them are there, with these shapes and no others beside them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from falcon_edge.errors import BadInput
from falcon_edge.models.weight_files import Held, read_held
from falcon_edge.notices import notice

# A weights file may hold more than the weights (an optimizer's moments, 64-bit numbers), but not without end.
TIMES_NEEDED, BESIDES = 8, 64 * 1024**2
# Parts of names that torch's wrappers put in at any place; no module of a user's is called so.
WRAPPERS = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
PARALLEL = "module"  # a wrapper's too, but a user's own as well
# What is no weight: torch before 0.4 did not count batches, and profilers leave their counts behind.
BATCH_COUNTER, PROFILE = "num_batches_tracked", ("total_ops", "total_params")
NAMED = 3  # names in an error, of each kind


@dataclass(frozen=True)
class _Fit:
    """Tensors of a file under one prefix, by the network's names, and how they differ from what it needs."""

    place: str
    tensors: dict[str, Tensor]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    misshapen: tuple[str, ...]
    beside: int  # tensors of the same dictionary without the prefix

    @property
    def wrong(self) -> int:
        return len(self.missing) + len(self.unknown) + len(self.misshapen)


def load_weights(model: nn.Module, path: Path, key: str | None = None) -> None:
    """Load the weights of a file into `model`, which they have to fit exactly.

    key: which ones, where a file holds several that fit ("ema", "state_dict.teacher"): the names of the dictionaries
    that they lie in, or the beginning of their own names. Says what it left out and what it converted. Raises BadInput,
    before the model is changed, where nothing or more than one thing fits.
    """
    own = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    tied = _tied(own)
    fits = [fit for held in read_held(path, largest_file(model)) for fit in _fits(held, own, tied)]
    if key is not None:
        fits = [fit for fit in fits if f"{fit.place}.".startswith(f"{key}.")]
        if not fits:
            raise BadInput(f"{path}: holds no weights under {key}")
    chosen = _choose(path, fits, own)
    # What the file does not hold are counters of batches.
    state = {name: _value(path, name, chosen.tensors.get(name, value), value) for name, value in own.items()}
    for name, other in tied.items():
        if not torch.equal(state[name], state[other]):
            raise BadInput(f"{path}: {name} and {other} are one tensor in the network, but differ here")
    _say(path, chosen, own)
    try:
        model.load_state_dict(model.state_dict() | state)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{path}: these weights do not fit the network: {reason}") from error


def largest_file(model: nn.Module) -> int:
    """Bytes that a file of weights for `model` may have."""
    tensors = (tensor for tensor in model.state_dict().values() if isinstance(tensor, Tensor))
    return TIMES_NEEDED * sum(tensor.nbytes for tensor in tensors) + BESIDES


def _fits(held: Held, own: dict[str, Tensor], tied: dict[str, str]) -> Iterator[_Fit]:
    """The dictionary with every prefix under which it has a name of the network, or with none."""
    tensors = {_without(name, WRAPPERS): value for name, value in held.tensors.items()}
    found = list(_prefixed(held.place, tensors, own, tied))
    if all(fit.wrong for fit in found) and not any(PARALLEL in name.split(".") for name in own):
        tensors = {_without(name, {PARALLEL}): value for name, value in tensors.items()}
        found += [fit for fit in _prefixed(held.place, tensors, own, tied) if not fit.wrong]
    yield from found


def _prefixed(place: str, tensors: dict[str, Tensor], own: dict[str, Tensor], tied: dict[str, str]) -> Iterator[_Fit]:
    needed = [name for name in own if not _counter(name)]
    probe = max(needed, key=len, default="")  # the longest name ends the fewest others
    prefixes = {name.removesuffix(probe): None for name in tensors if f".{name}".endswith(f".{probe}")} if probe else {}
    for prefix in ({"": None} | prefixes) if needed else {"": None}:
        part = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        part |= {name: part[other] for name, other in tied.items() if name not in part and other in part}
        yield _Fit(
            ".".join(filter(None, (place, prefix.rstrip(".")))),
            part,
            tuple(name for name in needed if name not in part),
            tuple(name for name in part if name not in own and not _counter(name)),
            tuple(name for name in needed if name in part and part[name].shape != own[name].shape),
            len(tensors) - sum(name.startswith(prefix) for name in tensors),
        )


def _choose(path: Path, fits: list[_Fit], own: dict[str, Tensor]) -> _Fit:
    """The only one that fits. Raises BadInput if none does, or several with other numbers."""
    right = [fit for fit in fits if not fit.wrong]
    if not right:
        nearest = max(fits, key=lambda fit: (len(own) - len(fit.missing), -fit.wrong))
        where = f" under {nearest.place}" if nearest.place else ""
        raise BadInput(f"{path}: these weights{where} do not fit the network: {_difference(nearest, own)}")
    differing = [fit for fit in right[1:] if not _same(fit.tensors, right[0].tensors, own)]
    if differing:
        places = ", ".join(fit.place or "its top" for fit in (right[0], *differing))
        raise BadInput(f"{path}: holds several weights that fit the network; choose with `weights_key`: {places}")
    return right[0]


def _difference(fit: _Fit, own: dict[str, Tensor]) -> str:
    parts = []
    if fit.missing:
        parts.append(f"they lack {_names(fit.missing)}")
    if fit.unknown:
        parts.append(f"they have the unknown {_names(fit.unknown)}")
    if fit.misshapen:
        shapes = (f"{name} is {_shape(fit.tensors[name])}, not {_shape(own[name])}" for name in fit.misshapen)
        parts.append(_names(tuple(shapes)))
    return "; ".join(parts)


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _value(path: Path, name: str, value: Tensor, needed: Tensor) -> Tensor:
    """A tensor of the file in the network's type. Raises BadInput for one whose numbers are not the network's."""
    kind = _strange(value)
    if kind is None and needed.is_floating_point() != value.is_floating_point() and not _counter(name):
        kind = f"{_word(value.dtype)}, not {_word(needed.dtype)}"
    if kind is not None:
        raise BadInput(f"{path}: {name} is no plain tensor of real numbers: it is {kind}")
    value = value.detach().to(needed.dtype)
    # A network's own buffers may be infinite (masks): these and no others.
    if not torch.isfinite(value).all() and not torch.equal(value, needed):
        raise BadInput(f"{path}: {name} holds values that are not finite")
    return value


def _strange(tensor: Tensor) -> str | None:
    """What a tensor is that does not have its numbers here, one a place; None for an ordinary one."""
    if tensor.is_quantized:
        return "quantized"
    if tensor.layout is not torch.strided:
        return "sparse"
    if tensor.device.type != "cpu":
        return f"on the device {tensor.device.type}, without numbers"
    return "complex" if tensor.is_complex() else None


def _say(path: Path, fit: _Fit, own: dict[str, Tensor]) -> None:
    """What a user should know of weights that were taken."""
    converted = {_word(fit.tensors[name].dtype) for name in own if name in fit.tensors and not _counter(name)}
    converted -= {_word(value.dtype) for value in own.values()}
    if converted:
        notice(f"{path}: its weights are {', '.join(sorted(converted))} and are converted to float32")
    if fit.beside:
        notice(f"{path}: the weights under {fit.place} are taken; {fit.beside} tensors beside them are not used")


def _tied(own: dict[str, Tensor]) -> dict[str, str]:
    """Names whose tensor has an earlier name too: that."""
    first: dict[tuple[int, torch.Size, tuple[int, ...]], str] = {}
    tied = {}
    for name, tensor in own.items():
        earlier = first.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), name)
        if earlier != name and tensor.numel() > 0:
            tied[name] = earlier
    return tied


def _same(one: dict[str, Tensor], other: dict[str, Tensor], names: Iterable[str]) -> bool:
    return all(
        torch.equal(one[name], other[name]) for name in names if name in one and name in other and not _counter(name)
    )


def _without(name: str, parts: Iterable[str]) -> str:
    return ".".join(part for part in name.split(".") if part not in parts)


def _counter(name: str) -> bool:
    return name.rpartition(".")[2] in (BATCH_COUNTER, *PROFILE)


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
