"""A small U-Net on shapes: trained, compressed by FALCON, fine-tuned by a loop of its own, and kept as bundles.

    python examples/shapes.py shapes
    python examples/segmentation.py shapes/masks.npz OUTPUT [--epochs 24] [--tune 20] [--ranks 1 2]

Writes OUTPUT/standard.falcon and OUTPUT/rank1.falcon, OUTPUT/rank2.falcon, which `falcon-edge export` and `bench` take.
"""

import torch
from own_loop import Data, asked, compressed_and_tuned, fitted, packed
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 16


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Two 3x3 convolutions."""
    layers: list[nn.Module] = []
    for given, step in ((inputs, stride), (outputs, 1)):
        layers += [nn.Conv2d(given, outputs, 3, step, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Four levels, the finest at half the image's size; the map (N, classes, H, W) is brought to the image's."""

    def __init__(self, classes: int, width: int = WIDTH):
        super().__init__()
        widths = [width * 2**level for level in range(4)]
        self.down = nn.ModuleList(block(given, made, 2) for given, made in zip([3, *widths], widths, strict=False))
        self.up = nn.ModuleList(
            block(below + beside, beside) for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(width, classes, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The scores of every class for every pixel."""
        seen = []
        for down in self.down:
            x = down(x)
            seen.append(x)
        for up, beside in zip(self.up, seen[-2::-1], strict=True):
            x = up(torch.cat([functional.interpolate(x, scale_factor=2.0), beside], 1))
        return functional.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)


def unet(num_classes: int = 5) -> UNet:
    """The network, for `falcon-edge pack segmentation:unet`."""
    return UNet(num_classes)


def loss(network: nn.Module, images: Tensor, masks: Tensor, teacher: nn.Module | None) -> Tensor:
    """Cross entropy of every pixel; with a teacher, half of it by the teacher's scores."""
    scores = network(images)
    found = functional.cross_entropy(scores, masks.long())
    if teacher is None:
        return found
    with torch.no_grad():
        wanted = functional.softmax(teacher(images) / 2, 1)
    return (found + 4 * functional.cross_entropy(scores / 2, wanted)) / 2


def varied(images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Mirrored and turned, all images of a batch alike."""
    for axis in (-1, -2):
        if torch.rand(()) < 0.5:
            images, masks = images.flip(axis), masks.flip(axis)
    if torch.rand(()) < 0.5:
        images, masks = images.transpose(-1, -2), masks.transpose(-1, -2)
    return images, masks


def main() -> None:
    """The command line."""
    options = asked(__doc__.splitlines()[0], epochs=24, tune=20)
    data = Data.of(options.data)
    standard = options.output / "standard"
    weights = fitted(
        unet(data.classes),
        data,
        loss,
        epochs=options.epochs,
        rate=0.05,
        file=standard.with_suffix(".pt"),
        varied=varied,
    )
    packed("segmentation:unet", weights, data, standard)
    for rank in options.ranks:
        output = options.output / f"rank{rank}"
        compressed_and_tuned(standard, rank, data, loss, output, epochs=options.tune, rate=0.05, varied=varied)


if __name__ == "__main__":
    main()
