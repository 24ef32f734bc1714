"""Small random networks: additions, concatenations, groups, depthwise layers, batch normalisation, flattened maps."""

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
)


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
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network
