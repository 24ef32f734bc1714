"""Small random networks: additions, concatenations, groups, depthwise layers, normalisations, flattened maps, layers
that are called twice, kernels and paddings of every kind.
"""

import torch
from hypothesis import strategies as st
from torch import nn

KINDS = (
    "plain",
    "plain",
    "pointwise",
    "grouped",
    "depthwise",
    "residual",
    "gated",
    "concatenated",
    "pool",
    "norm",
    "up",
    "twice",
    "summed",
    "squeezed",
    "shuffled",
    "halves",
    "bare norm",
    "group norm",
    "instance norm",
    "slopes",
    "row and column",
    "dilated",
    "strided",
    "by name",
)
PADDINGS = ("zeros", "reflect", "replicate", "circular")


class Random(nn.Module):
    """Takes (B, 3, 8, 8)."""

    def __init__(self, kinds, widths, flat, bias):
        super().__init__()
        self.kinds, self.flat = kinds, flat
        self.layers = nn.ModuleList()
        channels = 3
        for kind, width in zip(kinds, widths, strict=True):
            self.layers.append(layers := nn.ModuleList())
            if kind in ("plain", "concatenated"):
                layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=bias))
                channels = width if kind == "plain" else channels + width
            elif kind == "pointwise":
                layers.extend([nn.Conv2d(channels, width, 1), nn.Conv2d(width, width, 3, padding=1, bias=bias)])
                channels = width
            elif kind == "grouped" and channels % 2 == 0:
                layers.append(nn.Conv2d(channels, 2 * width, 3, padding=1, groups=2, bias=bias))
                channels = 2 * width
            elif kind == "depthwise":
                layers.append(nn.Conv2d(channels, 2 * channels, 3, padding=1, groups=channels, bias=bias))
                channels *= 2
            elif kind == "residual":
                layers.extend([nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, channels, 1, bias=bias)])
            elif kind == "gated":
                layers.extend([nn.Conv2d(channels, width, 1), nn.Conv2d(width, channels, 1)])
            elif kind == "norm":
                layers.append(nn.BatchNorm2d(channels))
            elif kind == "up":
                layers.append(nn.ConvTranspose2d(channels, width, 2, stride=2, bias=bias))
                channels = width
            elif kind == "twice":
                layers.append(nn.Conv2d(channels, channels, 3, padding=1, bias=bias))
            elif kind == "summed":
                layers.extend(nn.Conv2d(channels, width, size, padding=size // 2, bias=bias) for size in (1, 3, 5))
                channels = width
            elif kind == "squeezed":
                layers.extend([nn.Linear(channels, width), nn.Linear(width, channels, bias=bias)])
            elif kind == "shuffled" and channels % 2 == 0:
                layers.append(nn.Conv2d(channels, channels, 3, padding=1, groups=2, bias=bias))
            elif kind == "halves":
                layers.append(nn.Conv2d(channels, 2 * width, 1, bias=bias))
                channels = width
            elif kind == "bare norm":
                layers.append(nn.BatchNorm2d(channels, affine=False))
            elif kind == "group norm":
                layers.append(nn.GroupNorm(1, channels))
            elif kind == "instance norm":
                layers.append(nn.InstanceNorm2d(channels, affine=bias))
            elif kind == "slopes":
                layers.append(nn.PReLU(channels))
            elif kind == "row and column":
                layers.append(nn.Conv2d(channels, width, (1, 3), padding=(0, 1), bias=bias))
                layers.append(nn.Conv2d(width, width, (3, 1), padding=(1, 0), bias=bias))
                channels = width
            elif kind in ("dilated", "by name"):
                layers.append(
                    nn.Conv2d(channels, width, 3, 1, 2, 2, bias=bias, padding_mode=PADDINGS[width % len(PADDINGS)])
                )
                channels = width
            elif kind == "strided":
                layers.append(nn.Conv2d(channels, width, 2, stride=3, padding=1, bias=bias))
                channels = width
        self.sizes = [channels * 4 if flat else channels, 5]
        self.out = nn.Linear(*self.sizes)

    def forward(self, x):
        for kind, layers in zip(self.kinds, self.layers, strict=True):
            if kind == "residual":
                x = x + layers[1](layers[0](x).relu())
            elif kind == "gated":
                x = x * layers[1](layers[0](x.mean((2, 3), keepdim=True)).relu()).sigmoid()
            elif kind == "concatenated":
                x = torch.cat([layers[0](x).relu(), x], 1)
            elif kind == "pool":
                x = nn.functional.max_pool2d(x, 2, 1, 1)
            elif kind == "up":
                x = nn.functional.avg_pool2d(layers[0](x), 2)
            elif kind == "twice":
                x = layers[0](x).relu()
                x = x + nn.functional.interpolate(layers[0](nn.functional.avg_pool2d(x, 2)), x.shape[2:])
            elif kind == "summed":
                x = sum(layer(x) for layer in layers).relu()
            elif kind == "squeezed":
                x = x * layers[1](layers[0](x.mean((2, 3))).relu()).sigmoid()[:, :, None, None]
            elif kind == "shuffled" and len(layers):
                x = layers[0](x).unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
            elif kind == "halves":
                one, other = layers[0](x).chunk(2, 1)
                x = one * other.sigmoid()
            elif kind == "strided":
                x = nn.functional.interpolate(layers[0](x), scale_factor=2).relu()
            elif kind == "by name":
                x = layers[0](input=x).relu()
            else:
                for layer in layers:
                    x = layer(x)
                x = x.relu()
        x = nn.functional.adaptive_avg_pool2d(x, 2 if self.flat else 1)
        return self.out(x.flatten(1))


@st.composite
def networks(draw):
    """One with weights of its own, in eval mode."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    widths = draw(st.lists(st.integers(1, 6), min_size=len(kinds), max_size=len(kinds)))
    torch.manual_seed(draw(st.integers(0, 99)))
    network = Random(kinds, widths, draw(st.booleans()), draw(st.booleans())).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.1)
    return network
