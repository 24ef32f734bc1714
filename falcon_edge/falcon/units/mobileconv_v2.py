"""MobileNetV2's unit."""

from torch import nn

from falcon_edge.falcon.units.parts import conv, normalised


class MobileConvV2(nn.Sequential):
    """Inverted residual without the residual (MobileNetV2, arXiv 1801.04381): expand by t, depthwise, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, expansion: int = 2):
        hidden = expansion * inputs
        super().__init__(
            *normalised(conv(inputs, hidden), hidden, relu=True),
            *normalised(conv(hidden, hidden, kernel, stride, groups=hidden), hidden, relu=True),
            conv(hidden, outputs),
        )
