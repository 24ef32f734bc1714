"""Several processes that train one network together, as torchrun starts them, by PyTorch's own engine.

Each takes its part of every batch and of the validation images; gradients and figures are brought together, so that
they do what one process would with the same batches. Everything here is also true of a process that is alone.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from falcon_edge.errors import BadInput

SAID = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # by torchrun, to every process that it starts


@dataclass(frozen=True)
class Team:
    """This process among `size`: the first, rank 0, leads, which is to say that it alone writes and speaks."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def part(self, whole: Any) -> Any:
        """What of a sequence, a batch for one, is this process's: of the same kind."""
        return whole[self.rank :: self.size]

    def total(self, *values: float) -> list[float]:
        """The sums over all processes."""
        if self.size == 1:
            return [*values]
        sums = torch.tensor(values, dtype=torch.float64, device=_device())
        distributed.all_reduce(sums)
        return sums.tolist()

    def told(self, value: Any) -> Any:
        """What the first process has."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0, device=_device())
        return held[0]

    def wrapped(self, module: nn.Module) -> nn.Module:
        """What is called in the module's place, so that gradients are the means over all processes.

        What it answers is the loss: parameters may have no part in that, as those of auxiliary heads.
        """
        if self.size == 1:
            return module
        some = next(module.parameters())
        module.register_parameter("without_part", nn.Parameter(some.new_zeros(1)))  # or torch warns that all have one
        return DistributedDataParallel(module, find_unused_parameters=True)

    def together(self) -> AbstractContextManager[Any]:
        """Within which batch normalisation, of whatever module, has the statistics of the whole batch."""
        return nullcontext() if self.size == 1 else _WholeBatch()


ALONE = Team()


def team() -> Team:
    """That of this process."""
    if distributed.is_available() and distributed.is_initialized():
        return Team(distributed.get_rank(), distributed.get_world_size())
    return ALONE


@contextmanager
def joined(accelerator: str = "cpu") -> Iterator[Team]:
    """The team that torchrun started this process in (NCCL for GPUs, else Gloo), or this process alone.

    Raises BadInput where its processes cannot be reached.
    """
    if not all(name in os.environ for name in SAID) or team() != ALONE:
        yield team()
        return
    if accelerator == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        distributed.init_process_group("nccl" if accelerator == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"the processes of torchrun do not find each other: {' '.join(str(error).split())}") from error
    try:
        yield team()
    finally:
        distributed.destroy_process_group()


def _device() -> torch.device:
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")


class _Sum(torch.autograd.Function):
    """A tensor's sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        x = x.clone()
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


class _WholeBatch(TorchFunctionMode):
    """Batch normalisation over the batches of all processes, wherever a module asks torch for it.

    Modules stay as they are: those of torch, and those of others, which may have an activation behind it. (torch's own
    SyncBatchNorm is for GPUs alone, and stands in their place.)
    """

    def __torch_function__(self, called: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        """See torch."""
        return (_batch_norm if called is functional.batch_norm else called)(*given, **(named or {}))


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(B, C, ...) to the same; B of this process. Ioffe and Szegedy, arXiv 1502.03167, algorithm 1.

    In float32 at least, whatever autocast makes of x.
    """
    if not training:
        return functional.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    values = x.to(torch.promote_types(x.dtype, torch.float32))
    others = [axis for axis in range(x.ndim) if axis != 1]
    size = distributed.get_world_size()
    count = size * x.numel() // x.shape[1]
    shape = [1, -1, *([1] * (x.ndim - 2))]
    mean = _Sum.apply(values.mean(others)) / size
    centred = values - mean.view(shape)
    variance = _Sum.apply(centred.square().mean(others)) / size
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * count / max(1, count - 1), momentum)
    normalised = centred * (variance + eps).rsqrt().view(shape)
    normalised = normalised if weight is None else normalised * weight.view(shape)
    return (normalised if bias is None else normalised + bias.view(shape)).to(x.dtype)
