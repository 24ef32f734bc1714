"""MobileNetV1 (Howard and others, 2017, table 1) and a small MobileNetV2: what separable networks are measured by."""

from torch import nn

# (channels, stride of the depthwise convolution before them) of the separable convolutions.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def mobilenet_v1(num_classes: int = 10) -> nn.Module:
    layers, inputs = _convolution(3, 32, kernel=3, stride=2), 32
    for outputs, stride in BLOCKS:
        layers += _convolution(inputs, inputs, kernel=3, stride=stride, groups=inputs)
        layers += _convolution(inputs, outputs, kernel=1)
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes))


def _convolution(inputs: int, outputs: int, *, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def mobilenet_v2(num_classes: int = 10, in_channels: int = 1, width: float = 1.0) -> nn.Module:
    """MobileNetV2's blocks (Sandler and others, 2018, table 1; expansion 4) in a network for 28x28 or 32x32 images."""
    channels = [max(8, round(width * count / 8) * 8) for count in (32, 64, 64, 128, 128, 128)]
    layers, inputs = _convolution(in_channels, channels[0], kernel=3), channels[0]
    for outputs, stride in zip(channels[1:], (2, 1, 2, 1, 1), strict=True):
        layers.append(Inverted(inputs, outputs, stride, 4 * inputs))
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, num_classes))


class Inverted(nn.Module):
    """An inverted residual block with a linear bottleneck."""

    def __init__(self, inputs: int, outputs: int, stride: int, inner: int):
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        widened = _convolution(inputs, inner, kernel=1)
        seen = _convolution(inner, inner, kernel=3, stride=stride, groups=inner)
        self.layers = nn.Sequential(*widened, *seen, *_convolution(inner, outputs, kernel=1)[:-1])

    def forward(self, x):
        """Maps (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        return x + self.layers(x) if self.residual else self.layers(x)
