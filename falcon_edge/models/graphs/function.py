"""What torch has no layer for: a function with fixed settings, as one."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Function(nn.Module):
    """A function of values, which are given, and of settings, which stay.

    It is one that a module has under its name, so that the layer can be copied and pickled.
    """

    def __init__(self, function: Callable[..., Any], **settings: Any):
        super().__init__()
        self.function, self.settings = function, settings

    def forward(self, *values: Tensor) -> Any:
        """What the function gives: a tensor, or several."""
        return self.function(*values, **self.settings)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return ", ".join([self.function.__name__, *(f"{name}={value}" for name, value in self.settings.items())])
