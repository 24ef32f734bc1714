"""Units at the MACs of FALCON, by their width."""

import pytest

from falcon_edge.errors import BadInput
from falcon_edge.falcon.cost import cost
from falcon_edge.falcon.units import UNITS, unit_named
from falcon_edge.falcon.units.placing import places, put
from falcon_edge.models.sources import build
from falcon_edge.steps.study.matching import STEPS, matched_width, wanted_macs

SHAPE = (3, 32, 32)


def built(name, width):
    module = build("vgg8", num_classes=10, in_channels=3, width=width)
    unit = unit_named(name)
    return put(module, places(module, SHAPE, unit).layers, unit)


@pytest.mark.parametrize("name", UNITS)
def test_no_width_comes_nearer(name):
    wanted, own = wanted_macs(build("vgg8", in_channels=3, width=0.5), SHAPE, "falcon", 1)
    assert wanted < own
    width, macs = matched_width("vgg8", unit_named(name), SHAPE, 10, wanted, 0.5)
    assert cost(built(name, width), SHAPE).macs == macs
    around = [width + step * 4 / STEPS for step in (-8, -4, -2, -1, 1, 2, 4, 8)]
    assert all(abs(cost(built(name, other), SHAPE).macs - wanted) >= abs(macs - wanted) for other in around)


def test_what_has_these_macs_keeps_its_width():
    wanted, _ = wanted_macs(build("vgg8", in_channels=3, width=0.5), SHAPE, "falcon", 2)
    assert matched_width("vgg8", unit_named("falcon", {"rank": 2}), SHAPE, 10, wanted, 0.5) == (0.5, wanted)


def test_others_have_no_width():
    with pytest.raises(BadInput, match="own:net: macs_of a unit is met by the width"):
        matched_width("own:net", unit_named("dsconv"), SHAPE, 10, 1000)


def test_where_a_unit_cannot_be_as_small_the_smallest_width_of_it_alone_is_taken():
    wanted, _ = wanted_macs(build("vgg8", in_channels=3, width=0.125), SHAPE, "falcon", 1)
    width, macs = matched_width("vgg8", unit_named("dsconv"), SHAPE, 10, wanted, 0.125)
    assert width == 48 / STEPS  # 16 channels: below, convolutions of 8 would stay standard
    assert macs == cost(built("dsconv", width), SHAPE).macs > 2 * wanted


@pytest.mark.parametrize("groups", [3, 4, 8])
def test_widths_at_which_groups_do_not_divide_are_passed_over(groups):
    """At many widths convolutions stay standard, so that MACs fall and rise with the width: they mislead no search."""
    unit = unit_named("shuffle", {"groups": groups})
    wanted, _ = wanted_macs(build("vgg8", in_channels=3), SHAPE, "falcon", 1)
    width, macs = matched_width("vgg8", unit, SHAPE, 10, wanted)
    found = places(build("vgg8", in_channels=3, width=width), SHAPE, unit)
    assert len(found.layers) >= 5
    assert found.kept.keys() <= {"features.0"}
    assert 0.75 < macs / wanted < 1.25
