"""What errors of each layer's output do to a network's answers, by one pass over images without labels."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from falcon_edge.errors import BadInput
from falcon_edge.falcon.moments import ChannelSums
from falcon_edge.falcon.observe import evaluating, fed, tensors_in


def sensitivities(
    model: nn.Module, layers: Collection[str], batches: Iterable[Any], *, decides: bool, seed: int = 0
) -> dict[str, float]:
    """For every layer how far answers would move if all variance of its output were lost, to second order.

    An error with a share e of that variance, spread as the output is, moves them by e times as much while it is small:
    with g the gradient of the answers' log-likelihood, half the mean of g^2 times its square (Fisher information, as in
    Theis and others, 2018, arXiv 1801.05787, section 2). A shift of the mean does not count, for biases and batch
    normalisation make up for it.

    batches: inputs (B, C, H, W). decides: answers are logits (B, classes), and the distance is their divergence in
    nats; else the mean squared error of each of their tensors over its own variance. Raises BadInput for a network that
    gives no gradients.
    """
    draws = torch.Generator().manual_seed(seed)
    found = {name: _Seen() for name in layers}
    hooks = [model.get_submodule(name).register_forward_hook(each.keep) for name, each in found.items()]
    try:
        with evaluating(model), torch.enable_grad():
            for batch in fed(model, batches):
                answers = [each for each in tensors_in(model(batch.detach().requires_grad_())) if each.requires_grad]
                if not answers:
                    raise BadInput("no gradient comes from the network's answers, so that no layer can be weighed")
                weighed = _drawn(answers, draws, decides=decides)
                kept = [output for each in found.values() for output in each.outputs]
                gradients = iter(torch.autograd.grad(weighed, kept, allow_unused=True) if kept else ())
                for each in found.values():
                    each.take([next(gradients) for _ in each.outputs], len(batch))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: each.worth() for name, each in found.items() if each.images}


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

    def __init__(self) -> None:
        self.outputs: list[Tensor] = []  # of the batch that is under way, one a call
        self.images, self.sums = 0, ChannelSums()
        self.information = torch.zeros(1, dtype=torch.float64)

    def keep(self, _layer: nn.Module, _inputs: Any, given: Tensor) -> Tensor:
        """Remember an output (B, N, H, W); what comes behind gets a copy, which it may change in place."""
        self.outputs.append(given)
        return given.clone()

    def take(self, gradients: Sequence[Tensor | None], images: int) -> None:
        """Take in a batch. No gradient: no answer depends on it."""
        for output, gradient in zip(self.outputs, gradients, strict=True):
            self.sums.add(output.detach())
            if gradient is not None:
                self.information = self.information + gradient.transpose(0, 1).flatten(1).double().square().sum(1).cpu()
        self.images += images
        self.outputs.clear()

    def worth(self) -> float:
        """Half the information of an image, times the variance, over channels."""
        _, variance = self.sums.moments()
        return float((self.information / self.images * variance.cpu()).sum()) / 2
