"""Depthwise separable convolution."""

from torch import nn

from falcon_edge.falcon.units.parts import conv


class DSConv(nn.Sequential):
    """Depthwise separable convolution (MobileNet, arXiv 1704.04861): depthwise on M, then pointwise to N."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__(conv(inputs, inputs, kernel, stride, groups=inputs), conv(inputs, outputs))
