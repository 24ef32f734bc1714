"""VGG networks: VGG19 for 32x32 (FALCON paper), VGG16_BN for 224x224 (torchvision's layout), VGG8 for the demo."""

from collections.abc import Sequence

from torch import Tensor, nn

from falcon_edge.models.initialise import initialise
from falcon_edge.models.width import scaled

VGG8 = ((32,), (64, 64), (128, 128, 128))
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
VGG19 = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)


class VGG(nn.Module):
    """Groups of [conv3x3, BN, ReLU] with a 2x2 max-pool between or after them, then a head.

    Input (B, in_channels, H, W); output (B, num_classes) logits.
    `falcon_layers` names the convolutions that the paper replaces (None: no published choice).
    """

    def __init__(
        self,
        groups: Sequence[Sequence[int]],
        head: nn.Module,
        *,
        in_channels: int,
        pooled_groups: int,
        pool_to: int | None,
        conv_bias: bool = True,
        published: bool = True,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        convolutions: list[str] = []
        channels = in_channels
        for index, group in enumerate(groups):
            for out_channels in group:
                convolutions.append(f"features.{len(layers)}")
                layers += [
                    nn.Conv2d(channels, out_channels, 3, padding=1, bias=conv_bias),
                    nn.BatchNorm2d(out_channels),
                    nn.ReLU(inplace=True),
                ]
                channels = out_channels
            if index < pooled_groups:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.Identity() if pool_to is None else nn.AdaptiveAvgPool2d(pool_to)
        self.classifier = head
        self.falcon_layers = tuple(convolutions) if published else None
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, in_channels, H, W)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def vgg19(*, num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> VGG:
    """VGG19 of the FALCON paper for 32x32 images: 16 biased 3x3 convolutions, head 512-512-classes."""
    groups = scaled(VGG19, width)
    last = groups[-1][-1]
    head = nn.Sequential(nn.Linear(last, last), nn.Dropout(0.3), nn.ReLU(inplace=True), nn.Linear(last, num_classes))
    return VGG(groups, head, in_channels=in_channels, pooled_groups=5, pool_to=None)


def vgg16_bn(*, num_classes: int = 1000, in_channels: int = 3, width: float = 1.0) -> VGG:
    """VGG16 with batch normalisation for 224x224 images; torchvision's names, so its weights load."""
    groups = scaled(VGG16, width)
    hidden = scaled(((4096,),), width)[0][0]
    head = nn.Sequential(
        nn.Linear(groups[-1][-1] * 49, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(hidden, num_classes),
    )
    return VGG(groups, head, in_channels=in_channels, pooled_groups=5, pool_to=7)


def vgg8(*, num_classes: int = 10, in_channels: int = 1, width: float = 1.0) -> VGG:
    """The demo's network for 28x28 or 32x32 images: six 3x3 convolutions, global average pool, head 128-128-classes."""
    groups = scaled(VGG8, width)
    last = groups[-1][-1]
    head = nn.Sequential(nn.Linear(last, last), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(last, num_classes))
    return VGG(groups, head, in_channels=in_channels, pooled_groups=2, pool_to=1, conv_bias=False, published=False)
