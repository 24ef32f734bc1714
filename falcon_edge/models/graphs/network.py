"""The module that a graph becomes: its layers, and the order in which they are called."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from torch import Tensor, nn

from falcon_edge.errors import BadInput

Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True)
class Step:
    """A call of the layer at a module path: the values that it reads and writes, and those that are not read again."""

    layer: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    done: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphInput:
    """The input of a graph: its name, the shape that the file gives it (a free batch is 1), and the order of its axes
    where the graph tells."""

    name: str
    shape: tuple[int, ...]
    layout: Layout | None


class Scope(nn.Module):
    """What holds the layers and numbers below one part of a path; it is never called."""


class GraphNetwork(nn.Module):
    """Layers that are called step by step, as the nodes of a graph are.

    Takes a tensor of `input.shape`, of any batch unless `bound` says why only the file's; gives the tensor that the
    graph has as its output, or several by their names. Layers are looked up by their paths at every call, so that what
    replaces one is called in its place. No code is made of what a file says.

    stored: the path of the buffer for every value of the graph that is stored and read by a step. called: the file, for
    errors. last: the outputs that are maps whose channels are the last axis, as those of its images are.
    """

    def __init__(
        self,
        called: str,
        source: GraphInput,
        outputs: tuple[str, ...],
        steps: tuple[Step, ...],
        stored: dict[str, str],
        bound: str | None,
        last: tuple[str, ...] = (),
    ):
        super().__init__()
        self.called, self.input, self.outputs = called, source, outputs
        self.steps, self.stored, self.bound, self.last = steps, stored, bound, last

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """Raises BadInput for another batch than the file's where the graph is bound to it."""
        if self.bound is not None and x.shape[0] != self.input.shape[0]:
            raise BadInput(
                f"{self.called}: takes batches of {self.input.shape[0]} alone, not of {x.shape[0]}: {self.bound}"
            )
        values = {name: attrgetter(path)(self) for name, path in self.stored.items()}
        values[self.input.name] = x
        for step in self.steps:
            results = attrgetter(step.layer)(self)(*(values[name] for name in step.reads))
            values.update(zip(step.writes, results if isinstance(results, tuple) else (results,), strict=True))
            for name in step.done:
                del values[name]
        if len(self.outputs) == 1:
            return values[self.outputs[0]]
        return {name: values[name] for name in self.outputs}

    def place(self, path: str, leaf: nn.Module | Tensor) -> None:
        """Put a layer, or a number as a buffer, at a path, within scopes that are made where they are not there yet."""
        *scopes, last = path.split(".")
        parent: nn.Module = self
        for name in scopes:
            if name not in parent._modules:
                parent.add_module(name, Scope())
            parent = parent.get_submodule(name)
        if isinstance(leaf, Tensor):
            parent.register_buffer(last, leaf)
        else:
            parent.add_module(last, leaf)
