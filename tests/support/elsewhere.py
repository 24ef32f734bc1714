"""A device that is not the CPU, for machines without one: it computes on the CPU, and refuses tensors of elsewhere.

with Elsewhere():
    module.to(DEVICE)

What it cannot show is what an accelerator's own kernels do.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("lazy:0")  # whose name torch knows, and for which autograd asks for no driver


class There(torch.Tensor):
    """A tensor that says that it lies on DEVICE, around one that lies on the CPU."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device=DEVICE
        )

    def __init__(self, inner):
        self.inner = inner

    def __repr__(self):
        return f"There({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return called(func, args, kwargs or {})


class Elsewhere(TorchDispatchMode):
    """Within it tensors can be made on DEVICE, and moved there."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return called(func, args, kwargs or {})


def called(func, args, kwargs):
    """What an operator gives, on the device of its tensors, or of `device`, where it is told one."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = any(isinstance(tensor, There) for tensor in tensors)
    moves = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
    if there and not moves and any(not isinstance(tensor, There) and tensor.ndim for tensor in tensors):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found cpu and {DEVICE}")
    asked = kwargs.get("device")
    goes = there if asked is None else torch.device(asked).type == DEVICE.type
    if func is torch.ops.aten.copy_.default:
        goes = isinstance(args[0], There)
    inner_args, inner_kwargs = tree_map(lambda leaf: leaf.inner if isinstance(leaf, There) else leaf, (args, kwargs))
    if "device" in kwargs:
        inner_kwargs["device"] = torch.device("cpu")
    found = func(*inner_args, **inner_kwargs)
    if not goes:
        return found
    found = tree_map(lambda leaf: There(leaf) if isinstance(leaf, torch.Tensor) else leaf, found)
    return return_and_correct_aliasing(func, args, kwargs, found)
