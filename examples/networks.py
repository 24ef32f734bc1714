"""The networks of the examples: a U-Net and a one-stage detector."""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, STRIDE, PLACES = 16, 8, 8


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Two 3x3 convolutions."""
    layers: list[nn.Module] = []
    for given, step in ((inputs, stride), (outputs, 1)):
        layers += [nn.Conv2d(given, outputs, 3, step, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Four levels, the finest at half the image's size; the map (N, classes, H, W) is brought to the image's."""

    def __init__(self, num_classes: int = 5, width: int = WIDTH):
        super().__init__()
        widths = [width * 2**level for level in range(4)]
        self.down = nn.ModuleList(block(given, made, 2) for given, made in zip([3, *widths], widths, strict=False))
        self.up = nn.ModuleList(
            block(below + beside, beside) for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(width, num_classes, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The scores of every class for every pixel."""
        seen = []
        for down in self.down:
            x = down(x)
            seen.append(x)
        for up, beside in zip(self.up, seen[-2::-1], strict=True):
            x = up(torch.cat([functional.interpolate(x, scale_factor=2.0), beside], 1))
        return functional.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)


class Detector(nn.Module):
    """Convolutions down to a grid, two heads, and the decoding of boxes."""

    def __init__(self, num_classes: int = 4):
        super().__init__()
        layers: list[nn.Module] = []
        widths = (3, 16), (16, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 128)
        for (given, made), stride in zip(widths, (2, 1, 2, 1, 2, 1, 1), strict=True):
            layers += [nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.scores = nn.Sequential(nn.Conv2d(128, 128, 3, 1, 1), nn.ReLU(), nn.Conv2d(128, num_classes, 1))
        self.boxes = nn.Sequential(nn.Conv2d(128, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, 4, 1))
        steps = torch.arange(PLACES) + 0.5
        grid = torch.stack([steps.repeat(PLACES), steps.repeat_interleave(PLACES)], 1) * STRIDE
        self.register_buffer("grid", grid[None], persistent=False)
        with torch.no_grad():
            last = list(self.scores.parameters())[-1]
            last.fill_(-3.0)  # at first hardly anything is anywhere

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, 64, kinds), and boxes (N, 64, 4) as shifts of the centre and logarithms of sizes."""
        features = self.body(x)
        scores, boxes = (head(features).flatten(2).transpose(1, 2) for head in (self.scores, self.boxes))
        return scores, boxes

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Boxes in pixels, and scores in 0..1."""
        scores, boxes = self.raw(x)
        return {"boxes": decoded(boxes, self.grid), "scores": torch.sigmoid(scores)}


def decoded(boxes: Tensor, grid: Tensor) -> Tensor:
    """x0, y0, x1, y1 of shifts of the centre (in strides) and logarithms of sizes."""
    centre, half = grid + boxes[..., :2] * STRIDE, torch.exp(boxes[..., 2:]) * STRIDE / 2
    return torch.cat([centre - half, centre + half], -1)
