"""The weights that a network starts from."""

from torch import nn


def initialise(model: nn.Module) -> None:
    """He initialisation (fan out) of convolutions, as torchvision's networks; linear layers keep torch's own."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
