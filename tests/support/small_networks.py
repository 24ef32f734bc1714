"""Networks to convert, made here: the converters know none of ours."""

import numpy as np
import torch
from torch import nn


class Branches(nn.Module):
    """A sum of pointwise -> depthwise branches, as a compressed convolution is."""

    def __init__(self, inputs, outputs, rank, stride=1, bias=False):
        super().__init__()
        self.pointwise = nn.ModuleList(nn.Conv2d(inputs, outputs, 1, bias=False) for _ in range(rank))
        self.depthwise = nn.ModuleList(
            nn.Conv2d(outputs, outputs, 3, stride, 1, groups=outputs, bias=bias and index == 0) for index in range(rank)
        )

    def forward(self, x):
        return sum(depthwise(pointwise(x)) for pointwise, depthwise in zip(self.pointwise, self.depthwise, strict=True))


def conv(inputs, outputs, rank, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1) if rank == 0 else Branches(inputs, outputs, rank, stride, True)


def vgg(rank=0):
    """Flattens 3x3 pixels, so that the order of the fully connected weights matters."""
    layers, channels = [], 3
    for width in (8, 12, 16):
        layers += [conv(channels, width, rank), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    head = [nn.Flatten(), nn.Linear(16 * 9, 20), nn.Dropout(), nn.ReLU(), nn.Linear(20, 5)]
    return settled(nn.Sequential(*layers, *head), (3, 24, 24))


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride, rank):
        super().__init__()
        self.one, self.norm1 = conv(inputs, outputs, rank, stride), nn.BatchNorm2d(outputs)
        self.two, self.norm2 = conv(outputs, outputs, rank), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.norm2(self.two(self.norm1(self.one(x)).relu()))
        return (y + self.shortcut(x)).relu()


def resnet(rank=0):
    """The 7x7 stem of stride 2 and the padded max-pool of ResNet18, on 33 pixels: nothing divides evenly."""
    stem = [nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    blocks = [Residual(8, 12, 2, rank), Residual(12, 12, 1, rank)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5)]
    return settled(nn.Sequential(*stem, *blocks, *head), (3, 33, 34))


def settled(network, shape):
    """Eval mode, with BN layers as training leaves them: statistics of data, scales and shifts that are not 1 and 0."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            with torch.no_grad():
                module.weight.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
                module.bias.copy_(0.2 * torch.randn(module.num_features, generator=generator))
    network.train()
    with torch.no_grad():
        network(torch.randn(16, *shape, generator=generator))
    network.shape = shape
    return network.eval()


def samples(shape, count=4):
    return np.random.default_rng(5).standard_normal((count, *shape)).astype(np.float32)
