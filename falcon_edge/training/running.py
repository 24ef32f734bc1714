"""How a run is carried out, which decides nothing of what it learns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import device_of


@dataclass(frozen=True)
class Running:
    """accelerator: cpu, which leaves modules where they are, or cuda, where numbers are rounded otherwise.

    workers: processes that decode images. curves: a folder that gets what every epoch came to, see `Curves`.
    """

    accelerator: str = "cpu"
    workers: int = 0
    curves: Path | None = None

    def __post_init__(self) -> None:
        if self.accelerator not in ("cpu", "cuda"):
            raise BadInput(f"`accelerator` {self.accelerator}: there are cpu and cuda")
        if self.accelerator == "cuda" and not torch.cuda.is_available():
            raise BadInput("`accelerator` cuda: this machine, or this torch, has none")
        if self.workers < 0:
            raise BadInput(f"`workers` {self.workers}: at least 0")

    @contextmanager
    def placed(self, *modules: nn.Module | None) -> Iterator[None]:
        """Modules on the accelerator within the block (of several the one that is this process's), then back."""
        given = [module for module in modules if module is not None]
        before = [device_of(module) for module in given]
        try:
            if self.accelerator == "cuda":
                for module in given:
                    module.to(torch.device("cuda", torch.cuda.current_device()))
            yield
        finally:
            for module, device in zip(given, before, strict=True):
                module.to(device)


HERE = Running()
