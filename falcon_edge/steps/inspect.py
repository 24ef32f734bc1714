"""inspect: what is in a bundle or a model file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from converters.description import Description
from converters.formats import format_named
from converters.inspect_apart import describe_apart
from falcon_edge.bundle import PLAN, is_bundle, open_bundle
from falcon_edge.documents import read_document
from falcon_edge.manifest import Manifest
from falcon_edge.notices import notice

if TYPE_CHECKING:  # torch comes with it: a second that a bare file does not need
    from falcon_edge.falcon.plan import Plan


@dataclass(frozen=True)
class Inspected:
    """A bundle's manifest and plan, and its files that can be looked into, by their paths in it."""

    manifest: Manifest
    plan: "Plan"
    files: dict[str, Description]


def inspect(path: Path, *, files: bool = True) -> Inspected | Description:
    """What is in a bundle, or in a bare file. Raises BadInput, and ConversionError for a file that is damaged.

    files: look into those of a bundle, too, in a child process that is limited.
    """
    if not is_bundle(path):
        (description,) = describe_apart([path])
        for value in description.inputs:
            if value.free:
                where = " and ".join(value.free)
                notice(f"{path}: {value.name} is free in dimension {where}, which counts as 1 in MACs and bytes")
        return description
    from falcon_edge.falcon.plan import Plan

    bundle = open_bundle(path)
    exports = (
        bundle.manifest.exports if files else ()
    )  # of a file that cannot be looked into the manifest says what there is to say
    names = [export.file for export in exports if format_named(export.target).describes]
    described = dict(zip(names, describe_apart([bundle.file(name) for name in names]), strict=True))
    return Inspected(bundle.manifest, read_document(bundle.file(PLAN), Plan), described)
