"""What errors of each layer's output do to a network's answers, by one pass over images without labels."""

import copy
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.falcon.forward import fed, tensors_in
from falcon_edge.falcon.moments import ChannelSums
from falcon_edge.falcon.observe import observe


def sensitivities(
    model: nn.Module, layers: Collection[str], batches: Iterable[Any], *, decides: bool
) -> dict[str, float]:
    """For every layer how far answers would move if all variance of its output were lost, to second order.

    An error with a share e of that variance, spread as the output is, moves them by e times as much while it is small:
    with g the gradient of the answers' log-likelihood, half the mean of g^2 times its square (Fisher information, as in
    Theis and others, 2018, arXiv 1801.05787, section 2). A shift of the mean does not count, for biases and batch
    normalisation make up for it.

    batches: inputs (B, C, H, W). decides: answers are logits (B, classes), and the distance is their divergence in
    nats; else the mean squared error of each of their tensors over its own variance. Raises BadInput for a network that
    gives no gradients, or not to all of the layers that its answers depend on.
    """
    draws = torch.Generator().manual_seed(0)
    found = {name: _Seen(-1 if isinstance(model.get_submodule(name), nn.Linear) else 1) for name in layers}
    watched = copy.deepcopy(model).eval()  # weights that it computes, as weight norms do, keep their graph
    for name, each in found.items():
        watched.get_submodule(name).register_forward_hook(each.keep)
    with torch.enable_grad():
        for batch in fed(model, batches):
            image = batch.detach().requires_grad_().clone()  # the network may change it in place
            answers = [each for each in tensors_in(watched(image)) if each.requires_grad]
            if not answers:
                raise BadInput("no gradient comes from the network's answers, so that no layer can be weighed")
            weighed = _drawn(answers, draws, decides=decides)
            kept = [output for each in found.values() for output in each.outputs if output.requires_grad]
            gradients = iter(_gradients(weighed, kept))
            for each in found.values():
                each.take([next(gradients) if one.requires_grad else None for one in each.outputs], len(batch))
            shape = batch.shape[1:]
    unreached = [name for name, each in found.items() if each.images and not each.reached]
    if unreached:
        observed = observe(model, shape)
        cut = next((name for name in unreached if observed.macs(name)), None)
        if cut is not None:
            raise BadInput(
                f"{cut}: the answers depend on it, and no gradient comes to it, so that it cannot be weighed"
            )
    return {name: each.worth() for name, each in found.items() if each.images}


def _gradients(weighed: Tensor, outputs: Sequence[Tensor]) -> Sequence[Tensor | None]:
    try:
        return torch.autograd.grad(weighed, outputs, allow_unused=True) if outputs else ()
    except RuntimeError as error:  # as where a network changes in place what its own gradients need
        raise BadInput(f"no gradient can be taken of the network: {str(error).partition(': [')[0]}") from error


def _drawn(answers: Sequence[Tensor], draws: torch.Generator, *, decides: bool) -> Tensor:
    """A number whose gradient's square is, in the mean over draws, the information of the answers."""
    if decides:
        logits = answers[0].float()
        labels = torch.multinomial(logits.detach().softmax(1).cpu(), 1, generator=draws).to(logits.device)
        return functional.log_softmax(logits, 1).gather(1, labels).sum()
    weighed = []
    for answer in answers:
        given = answer.float()
        spread = given.detach().std(correction=0).clamp(min=torch.finfo(torch.float32).tiny)
        noise = torch.randn(given.shape, generator=draws).to(given.device)
        weighed.append((given * noise).sum() * (2 / given[0].numel()) ** 0.5 / spread)
    return torch.stack(weighed).sum()


class _Seen:
    """What one layer gives, over all images and places: channel by channel, with the squares of its gradients."""

    def __init__(self, axis: int) -> None:
        """axis: that its channels lie along."""
        self.axis = axis
        self.outputs: list[Tensor] = []  # of the batch that is under way, one a call
        self.images, self.reached, self.sums = 0, False, ChannelSums()
        self.information = torch.zeros(1, dtype=torch.float64)

    def keep(self, _layer: nn.Module, _inputs: Any, given: Tensor) -> Tensor:
        """Remember an output; what comes behind gets a copy, which it may change in place."""
        self.outputs.append(given)
        return given.clone()

    def take(self, gradients: Sequence[Tensor | None], images: int) -> None:
        """Take in a batch. No gradient: no answer depends on it, or a network keeps its gradients from it."""
        for output, gradient in zip(self.outputs, gradients, strict=True):
            self.sums.add(output.detach().movedim(self.axis, 1))
            if gradient is not None:
                self.reached = True
                self.information = (
                    self.information + gradient.movedim(self.axis, 0).flatten(1).double().square().sum(1).cpu()
                )
        self.images += images
        self.outputs.clear()

    def worth(self) -> float:
        """Half the information of an image, times the variance, over channels."""
        _, variance = self.sums.moments()
        return float((self.information / self.images * variance.cpu()).sum()) / 2
