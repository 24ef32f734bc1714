"""The closed-form fit of every layer of a network, beside the published gradient recipe on the same kernels.

    python benchmarks/fit.py                                  the 16 layers of VGG19, fresh weights
    python benchmarks/fit.py --network BUNDLE --rank 2        the layers of a trained network

Both run on the CPU with --threads threads, alternately, layer by layer. Errors are relative and squared:
||K - K'||^2 / ||K||^2, of all layers together.
"""

import argparse
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from falcon_edge.falcon import gep
from falcon_edge.falcon.plan import uniform_plan
from falcon_edge.steps.opening import Choice, open_network

Factors = tuple[Tensor, Tensor]


@dataclass
class Total:
    """Seconds, squared error and squared norm over the layers so far."""

    seconds: float = 0.0
    error: float = 0.0
    energy: float = 0.0

    def add(self, kernel: Tensor, rebuilt: Tensor, seconds: float) -> None:
        """Take in one layer."""
        self.seconds += seconds
        self.error += float((kernel - rebuilt).double().square().sum())
        self.energy += float(kernel.double().square().sum())


def closed_form(kernel: Tensor, rank: int) -> Factors:
    fitted = gep.fit(kernel, rank)
    return fitted.pointwise, fitted.depthwise


def published_recipe(kernel: Tensor, rank: int, steps: int = 600) -> Factors:
    """Pointwise (rank, N, M) and depthwise factors (rank, N, kh, kw) of a kernel (N, M, kh, kw).

    AdamW on the mean squared error from torch's own initialisation, as the authors' code does it.

    Rank 1 at a learning rate of 1e-3, higher ranks at 5e-3, where every depthwise part but the first stays as it was
    initialised; the intended decay of the learning rate never happens there.
    """
    outputs, inputs, height, width = kernel.shape
    pointwise = [torch.nn.Conv2d(inputs, outputs, 1).weight for _ in range(rank)]
    depthwise = [torch.nn.Conv2d(outputs, outputs, (height, width), groups=outputs).weight for _ in range(rank)]
    optimiser = torch.optim.AdamW([*pointwise, depthwise[0]], lr=1e-3 if rank == 1 else 5e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        rebuilt = torch.stack([p * d for p, d in zip(pointwise, depthwise, strict=True)]).sum(0)
        torch.nn.functional.mse_loss(rebuilt, kernel).backward()
        optimiser.step()
    return torch.stack(pointwise).detach()[..., 0, 0], torch.stack(depthwise).detach()[:, :, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="vgg19", help="a bundle or the name of a network")
    parser.add_argument("--rank", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=600, help="of the published recipe; 0 leaves it out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    opened = open_network(Choice(options.network))
    plan = uniform_plan(opened.module, opened.input.shape, options.rank)
    torch.manual_seed(0)
    ours, theirs = Total(), Total()
    closed_form(torch.randn(8, 8, 3, 3), 1)  # torch's first linear algebra call loads its library
    for name, (_, (rank,)) in plan.replaced.items():
        kernel = opened.module.get_submodule(name).weight.detach()
        for total, fit in ((ours, closed_form), (theirs, lambda k, r: published_recipe(k, r, options.steps))):
            if total is theirs and not options.steps:
                continue
            started = time.perf_counter()
            pointwise, depthwise = fit(kernel, rank)
            seconds = time.perf_counter() - started
            total.add(kernel, torch.einsum("rnm,rnij->nmij", pointwise, depthwise), seconds)
    print(f"{options.network}, {len(plan.replaced)} layers, rank {options.rank}, {options.threads} threads")
    print(f"closed form       {ours.seconds:8.2f} s   relative error {ours.error / ours.energy:.3f}")
    if options.steps:
        print(f"published recipe  {theirs.seconds:8.2f} s   relative error {theirs.error / theirs.energy:.3f}")
        print(f"ratio             {theirs.seconds / ours.seconds:8.0f} x")


if __name__ == "__main__":
    main()
