"""ResNets of basic blocks: ResNet34 for 32x32 (FALCON paper), ResNet18 for 224x224 (torchvision's layout)."""

from collections.abc import Sequence

from torch import Tensor, nn

from falcon_edge.models.initialise import initialise
from falcon_edge.models.width import scaled

WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """conv3x3, BN, ReLU, conv3x3, BN, plus the shortcut, ReLU (He et al., 2016); torchvision's names."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, bias: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet(nn.Module):
    """A stem, four stages of basic blocks, pooling and a linear head.

    Input (B, in_channels, H, W); output (B, num_classes) logits.
    `falcon_layers` names the 3x3 convolutions of the blocks: the paper keeps stem, shortcuts and head.
    """

    def __init__(
        self,
        stem: Sequence[nn.Module],
        blocks: Sequence[int],
        strides: Sequence[int],
        widths: Sequence[int],
        num_classes: int,
        *,
        block_bias: bool,
    ):
        super().__init__()
        self.conv1, self.bn1 = stem[0], stem[1]
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = stem[2] if len(stem) > 2 else nn.Identity()
        channels = widths[0]
        names: list[str] = []
        for stage, (count, stride, width) in enumerate(zip(blocks, strides, widths, strict=True), start=1):
            layer = nn.Sequential()
            for index in range(count):
                layer.append(BasicBlock(channels, width, stride if index == 0 else 1, block_bias))
                names += [f"layer{stage}.{index}.conv1", f"layer{stage}.{index}.conv2"]
                channels = width
            setattr(self, f"layer{stage}", layer)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self.falcon_layers: tuple[str, ...] | None = tuple(names)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, in_channels, H, W)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(self.avgpool(x).flatten(1))


def resnet34(*, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> ResNet:
    """ResNet34 of the FALCON paper for 32x32 images.

    The first block of every stage has stride 2 (32, 16, 8, 4, 2), and the 3x3 convolutions have biases, as
    published.
    """
    widths = scaled((WIDTHS,), width)[0]
    stem = (nn.Conv2d(in_channels, widths[0], 3, 1, 1), nn.BatchNorm2d(widths[0]))
    return ResNet(stem, (3, 4, 6, 3), (2, 2, 2, 2), widths, num_classes, block_bias=True)


def resnet18(*, num_classes: int = 1000, in_channels: int = 3, width: float = 1.0) -> ResNet:
    """ResNet18 for 224x224 images as in torchvision, whose weights load; the 7x7 stem stays standard."""
    widths = scaled((WIDTHS,), width)[0]
    stem = (
        nn.Conv2d(in_channels, widths[0], 7, 2, 3, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.MaxPool2d(3, 2, 1),
    )
    return ResNet(stem, (2, 2, 2, 2), (1, 2, 2, 2), widths, num_classes, block_bias=False)
