"""MobileNetV1 for 224x224 (Howard and others, 2017, table 1): what separable networks are measured by."""

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
