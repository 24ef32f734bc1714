"""Units: what networks are built of and trained with, to be compared with FALCON; one file a unit.

A form is fitted to a trained kernel (see falcon_edge.falcon.forms); a unit is trained from its first step on, and may
have normalisation and activations inside.
"""

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType

from falcon_edge.errors import BadInput
from falcon_edge.falcon.units.dsconv import DSConv
from falcon_edge.falcon.units.falcon import Falcon
from falcon_edge.falcon.units.falcon_branch import FalconBranch
from falcon_edge.falcon.units.mobileconv_v2 import MobileV2
from falcon_edge.falcon.units.shuffle_unit import Shuffle
from falcon_edge.falcon.units.shuffle_unit_v2 import ShuffleV2
from falcon_edge.falcon.units.stconv_branch import StConvBranch
from falcon_edge.falcon.units.unit import Unit

UNITS: Mapping[str, type[Unit]] = {
    unit.name: unit for unit in (DSConv, MobileV2, Shuffle, ShuffleV2, StConvBranch, Falcon, FalconBranch)
}


def unit_named(name: str, options: Mapping[str, int] = MappingProxyType({})) -> Unit:
    """The unit of a name; an option that is left out has its default.

    Raises BadInput for a unit that there is not, and for an option that it has not or that is out of its range.
    """
    if name not in UNITS:
        raise BadInput(f"{name}: no unit of this name; there are {', '.join(UNITS)}")
    unit = UNITS[name]
    most = {field.name: field.metadata["most"] for field in fields(unit)}
    for option, value in options.items():
        if option not in most:
            raise BadInput(f"`{option}` is not for {name}, which has {' and '.join(most) or 'no options'}")
        if not 1 <= value <= most[option]:
            raise BadInput(f"`{option}` {value}: lies in 1..{most[option]}")
    return unit(**options)
