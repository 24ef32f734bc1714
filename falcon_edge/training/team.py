"""Several processes that train one network together, as torchrun starts them, by PyTorch's own engine.

Each takes its part of every batch and of the validation images; gradients and figures are brought together, so that
they do what one process would with the same batches. Everything here is also true of a process that is alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

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

    def synchronised(self, module: nn.Module) -> nn.Module:
        """A module whose batch normalisation has the statistics of the whole batch; its children are replaced."""
        if self.size == 1:
            return module
        if next(module.parameters()).is_cuda:
            return nn.SyncBatchNorm.convert_sync_batchnorm(module)
        for parent in [*module.modules()]:
            for name, child in parent.named_children():
                if isinstance(child, _BatchNorm):
                    setattr(parent, name, _WholeBatchNorm.like(child))
        return module

    def wrapped(self, module: nn.Module) -> nn.Module:
        """What is called in the module's place, so that gradients are the means over all processes."""
        return module if self.size == 1 else DistributedDataParallel(module)


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


class _WholeBatchNorm(_BatchNorm):
    """Batch normalisation over the batches of all processes: torch's own, SyncBatchNorm, is for GPUs alone."""

    @classmethod
    def like(cls, other: _BatchNorm) -> "_WholeBatchNorm":
        """With the same parameters and statistics."""
        made = cls(other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats)
        made.weight, made.bias = other.weight, other.bias
        made.running_mean, made.running_var = other.running_mean, other.running_var
        made.num_batches_tracked = other.num_batches_tracked
        return made.train(other.training)

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of dimensions: what it stands for has looked."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, ...) to the same; B of this process. Ioffe and Szegedy, arXiv 1502.03167, algorithm 1."""
        if not self.training:
            return super().forward(x)
        others = [axis for axis in range(x.ndim) if axis != 1]
        size = distributed.get_world_size()
        count = size * x.numel() // x.shape[1]
        shape = [1, -1, *([1] * (x.ndim - 2))]
        mean = _Sum.apply(x.mean(others)) / size
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().mean(others)) / size
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                assert self.num_batches_tracked is not None
                self.num_batches_tracked += 1
                share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, share)
                self.running_var.lerp_(variance * count / max(1, count - 1), share)
        normalised = centred * (variance + self.eps).rsqrt().view(shape)
        return normalised * self.weight.view(shape) + self.bias.view(shape) if self.affine else normalised
