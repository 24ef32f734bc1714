"""FALCON-branch."""

from torch import nn

from falcon_edge.falcon.forms.falcon import FalconConv2d
from falcon_edge.falcon.units.parts import BranchUnit, normalised


class FalconBranch(BranchUnit):
    """FALCON paper's FALCON-branch: StConv-branch with every standard convolution as FALCON of rank k."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, rank: int = 1):
        def branch(from_: int, to: int, step: int) -> nn.Module:
            made = FalconConv2d(from_, to, kernel, step, kernel // 2, bias=False, rank=rank)
            return nn.Sequential(*normalised(made, to, relu=True))

        super().__init__(inputs, outputs, stride, branch)
