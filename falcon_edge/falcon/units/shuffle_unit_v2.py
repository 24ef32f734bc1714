"""ShuffleNetV2's unit."""

from torch import nn

from falcon_edge.falcon.units.parts import BranchUnit, conv, normalised


class ShuffleUnitV2(BranchUnit):
    """ShuffleNetV2's unit: the branch is pointwise, depthwise, pointwise; the left branch of (d) has no first one."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        def branch(from_: int, to: int, step: int) -> nn.Module:
            return nn.Sequential(
                *normalised(conv(from_, to), to, relu=True),
                *normalised(conv(to, to, kernel, step, groups=to), to, relu=False),
                *normalised(conv(to, to), to, relu=True),
            )

        super().__init__(inputs, outputs, stride, branch)
        if self.left is not None:
            self.left = nn.Sequential(
                *normalised(conv(inputs, inputs, kernel, stride, groups=inputs), inputs, relu=False),
                *normalised(conv(inputs, outputs // 2), outputs // 2, relu=True),
            )
