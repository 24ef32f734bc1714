"""StConv-branch."""

from torch import nn

from falcon_edge.falcon.units.parts import BranchUnit, conv, normalised


class StConvBranch(BranchUnit):
    """FALCON paper's StConv-branch: the branch is a standard convolution with BN and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        def branch(from_: int, to: int, step: int) -> nn.Module:
            return nn.Sequential(*normalised(conv(from_, to, kernel, step), to, relu=True))

        super().__init__(inputs, outputs, stride, branch)
