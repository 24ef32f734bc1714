"""A file of times that nobody measured: every unit takes what is said, so that plans by it are the same everywhere."""

import torch

from falcon_edge.documents import canonical_json
from falcon_edge.falcon.forms import FORMS
from falcon_edge.steps.planning.timed_layers import versions_of
from falcon_edge.times import Series, TimedNetwork, TimedReference, TimedUnit, Times

REST = 1e4  # nanoseconds of a network beside its layers


def by_macs(unit):
    """Nanoseconds of a unit: as many MACs take as long in every form."""
    kernel = torch.zeros(unit.channels[1], unit.channels[0] // unit.groups, *unit.kernel)
    parts = FORMS[unit.form].parts(kernel, unit.sizes) if unit.form in FORMS else ()
    weights = sum(part.weights for part in parts) if parts else kernel.numel()
    return 0.05 * weights * unit.height * unit.width


def write_given_times(network, path, *, cost=by_macs, plans=(), widths=()):
    """Of plans, or every form at every width, back to back, as LiteRT's in fp32 on this machine."""
    versions = versions_of(network, plans, widths)
    units = dict.fromkeys(unit for version in versions for unit in version.units)
    series = Series(
        device="local",
        machine="nobody's",
        emulated=False,
        runtime="litert",
        version="1",
        precision="fp32",
        threads=1,
        references=[
            TimedReference(reference=reference, warm_ns=(0.0,))
            for reference in dict.fromkeys(unit.reference for unit in units)
        ],
        units=[TimedUnit(unit=unit, copies=1, warm_ns=(float(cost(unit)),)) for unit in units],
        networks=[
            TimedNetwork(
                outline=version.layers.outline.digest,
                replaced={name: (each.form, each.sizes) for name, each in replaced.items()},
                parameters=version.layers.parameters_of(replaced),
                width=version.width,
                warm_ns=(REST + sum(cost(unit) for _, unit in version.layers.units_of(replaced)),),
            )
            for version in versions
            for replaced in version.layers.anchors()
        ],
    )
    path.write_bytes(canonical_json(Times().with_series(series)))
    return path
