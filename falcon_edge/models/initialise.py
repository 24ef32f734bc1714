"""The weights that a network starts from."""

from torch import nn


def initialise(model: nn.Module) -> None:
    """He initialisation (fan out) of convolutions, as torchvision's networks; linear layers keep torch's own."""
    for module in model.modules():
        # Without numbers there is nothing to do, and torch would import its compiler (1.5 s) to do it.
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
