"""The units that FALCON is compared with: each takes the place of one standard 3x3 (D x D) convolution, a file each.

As in the FALCON paper they end where the convolution ends: the network's own batch normalisation and activation
follow. Inside, units that need it have BN and ReLU of their own, as in the papers they come from.
"""

from falcon_edge.falcon.units.dsconv import DSConv
from falcon_edge.falcon.units.falcon_branch import FalconBranch
from falcon_edge.falcon.units.mobileconv_v2 import MobileConvV2
from falcon_edge.falcon.units.parts import shuffle
from falcon_edge.falcon.units.shuffle_unit import ShuffleUnit
from falcon_edge.falcon.units.shuffle_unit_v2 import ShuffleUnitV2
from falcon_edge.falcon.units.stconv_branch import StConvBranch

__all__ = ["DSConv", "FalconBranch", "MobileConvV2", "ShuffleUnit", "ShuffleUnitV2", "StConvBranch", "shuffle"]
