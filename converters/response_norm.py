"""Local response normalisation as the one node that ONNX has for it: torch exports a pool and a branch."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional


@contextlib.contextmanager
def response_norm_as_node() -> Iterator[None]:
    """While a network is traced, `torch.nn.functional.local_response_norm` is exported as LRN.

    Of an even number of channels ONNX's operator takes others than torch, and ONNX Runtime has it for maps alone:
    elsewhere it is spelled out.
    """
    own = functional.local_response_norm

    class ResponseNorm(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
            return own(x, size, alpha, beta, k)

        @staticmethod
        def symbolic(graph: Any, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
            node = graph.op("LRN", x, size_i=size, alpha_f=alpha, beta_f=beta, bias_f=k)
            node.setType(x.type())
            return node

    def traced(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
        is_node = size % 2 == 1 and input.ndim == 4
        found: Tensor = (ResponseNorm.apply if is_node else _spelled_out)(input, size, alpha, beta, k)
        return found

    with patch.object(functional, "local_response_norm", traced):
        yield


def _spelled_out(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """x / (k + alpha / size * squares of the `size` channels around each)^beta, of (N, C, ...)."""
    channels = x.shape[1]
    squares = functional.pad(x.square(), (*(0 for _ in range(2 * (x.ndim - 2))), size // 2, (size - 1) // 2))
    total = squares[:, :channels]
    for first in range(1, size):
        total = total + squares[:, first : first + channels]
    return x / (k + alpha / size * total) ** beta
