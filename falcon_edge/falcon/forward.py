"""Forward passes as we make them: in eval mode, in float32, on the device of the weights; and what goes in and out."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from falcon_edge.batches import each

Shape = tuple[int, ...]


def forward(model: nn.Module, images: Tensor) -> Tensor:
    """The output for images, in eval mode; every module's mode is put back afterwards."""
    with evaluating(model), torch.no_grad():
        return model(images)


def zeros_for(model: nn.Module, input_shape: Shape) -> Tensor:
    """One image (1, C, H, W) of zeros, of the type and on the device of the model's weights."""
    known = (one for one in model.parameters() if not isinstance(one, nn.UninitializedParameter))
    first = next(known, None)
    return torch.zeros(1, *input_shape) if first is None else first.new_zeros(1, *input_shape)


def device_of(model: nn.Module) -> torch.device:
    """Where the model is: the device of its first weight."""
    return zeros_for(model, (1, 1, 1)).device


def fed(model: nn.Module, batches: Iterable[Any]) -> Iterator[Tensor]:
    """The inputs (B, C, H, W) of batches of a loader, alone or each with its targets, on the device of the model."""
    device = device_of(model)
    for inputs, _ in each(batches):
        yield torch.as_tensor(inputs).to(device)


def on_reading(module: nn.Module, take: Callable[[Tensor], None]) -> RemovableHandle:
    """Have `take` called with what a module reads, before it runs, until the handle is removed."""
    return module.register_forward_pre_hook(
        lambda _, args, kwargs: take(tensors_in((args, kwargs))[0]), with_kwargs=True
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; afterwards every module is in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def full_precision() -> Iterator[None]:
    """Without the autocast that the caller may be within: what is fitted, counted and exported is float32."""
    accelerator = torch.accelerator.current_accelerator()
    kinds = {"cpu"} if accelerator is None else {"cpu", accelerator.type}
    with ExitStack() as stack:
        for kind in kinds:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def whole_attention() -> Iterator[None]:
    """Attention by matrix products, as it is exported, instead of one operator for all of it."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors of what an operator or a network takes or gives, in order."""
    if is_dataclass(tree) and not isinstance(tree, type):
        tree = [getattr(tree, field.name) for field in fields(tree)]
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
