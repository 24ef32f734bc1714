"""What a student learns from its teacher, as terms of anybody's loss: its answers, and what its layers give.

with torch.no_grad(), features(teacher, names) as wanted:
    answers = teacher(x)
with features(student, names) as found:
    loss = criterion(student(x), y) + distillation(student(x), answers) + matching(found, wanted)
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from falcon_edge.errors import BadInput


def distillation(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """T^2 KL(teacher || student) of logits (B, C, ...) softened by T, the mean over all but the classes.

    Hinton, Vinyals and Dean, 2015, section 2: T^2 keeps its gradients as large as those of a loss of labels.
    Raises BadInput where their shapes differ.
    """
    if student.shape != teacher.shape:
        raise BadInput(
            f"distillation: the student's logits are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}; "
            "both must have the same shape"
        )
    divergence = functional.kl_div(
        functional.log_softmax(_full(student) / temperature, 1),
        functional.log_softmax(_full(teacher) / temperature, 1),
        log_target=True,
        reduction="sum",
    )
    return temperature**2 * (divergence / (student.numel() // student.shape[1]))


@contextmanager
def features(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """What the layers at these module paths give while the block runs, by their names: of the last call of each.

    Raises BadInput for a path that is not there, and when a layer gives no tensor.
    """
    layers = dict(module.named_modules())
    unknown = [name for name in names if name not in layers]
    if unknown:
        raise BadInput(f"{unknown[0]}: the network has no layer of this name")
    found: dict[str, Tensor] = {}

    def keep(name: str, given: object) -> None:
        if not isinstance(given, Tensor):
            raise BadInput(f"{name}: gives a {type(given).__name__}, not a tensor")
        found[name] = given

    hooks = [
        layers[name].register_forward_hook(lambda _module, _inputs, given, name=name: keep(name, given))
        for name in names
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def matching(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
    """The squared differences of features (B, ...), each as a share of the teacher's own mean square; their mean.

    Raises BadInput where the two have not the same layers, or shapes.
    """
    if student.keys() != teacher.keys() or not student:
        raise BadInput(f"features of {sorted(student)} and of {sorted(teacher)}: give those of the same layers")
    terms = []
    for name, wanted in teacher.items():
        if student[name].shape != wanted.shape:
            raise BadInput(f"{name}: {tuple(student[name].shape)} of the student, {tuple(wanted.shape)} of the teacher")
        goal = _full(wanted.detach())
        scale = goal.square().mean().clamp_min(torch.finfo(goal.dtype).tiny)
        terms.append(functional.mse_loss(_full(student[name]), goal) / scale)
    return torch.stack(terms).mean()


def _full(values: Tensor) -> Tensor:
    """At least float32: autocast makes less of what layers give, and little is left of a difference then."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
