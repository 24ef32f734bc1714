"""The command that usually comes next, which verbs end with."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from falcon_edge.errors import BadInput

if TYPE_CHECKING:
    from falcon_edge.cli.groups import Images
    from falcon_edge.manifest import Manifest

Words = list[object]
EPOCHS = 10


def after_packing(bundle: Path, images: "Images") -> Words:
    """Compress it, and tune it."""
    data: Words = [] if images.data is not None else ["--data", "DATA"]
    how: Words = ["--rank", 1, "--finetune-epochs", EPOCHS]
    return ["compress", bundle, *images.words, *data, *how, "-o", f"{bundle.with_suffix('')}-rank1"]


def to_export(bundle: Path, images: "Images", targets: Sequence[str] = (), precisions: Sequence[str] = ()) -> Words:
    """With int8 where there are images for it, unless precisions were chosen."""
    chosen = precisions or (("fp32", "int8") if images.data is not None else ())
    formats: Words = [word for name in targets for word in ("--target", name)]
    formats += [word for name in chosen for word in ("--precision", name)]
    return ["export", bundle, *formats, *images.words]


def after_export(
    bundle: Path, manifest: "Manifest", images: "Images", targets: Sequence[str], precisions: Sequence[str]
) -> Words:
    """Measure it beside the network that it was compressed from, or those that came from it, where they lie beside it.

    The former is exported first if it is not.
    """
    parent, beside = manifest.lineage.parent, _beside(bundle)
    if parent is None or manifest.lineage.role == "standard":
        came = [
            path
            for path, its in beside.items()
            if its.exports and its.lineage.parent and its.lineage.parent.identity == manifest.lineage.identity
        ]
        return to_bench([bundle, *came], images)
    standards = [path for path, its in beside.items() if its.lineage.identity == parent.identity]
    path = min(standards, key=lambda path: path.stem != parent.name, default=None)
    if path is None:
        return to_bench([bundle], images)
    files = {export.file for export in beside[path].exports}
    if not {export.file for export in manifest.exports} <= files:
        return to_export(path, images, targets, precisions)
    return to_bench([path, bundle], images)


def to_bench(bundles: Sequence[Path], images: "Images") -> Words:
    """In one run: models are measured in turns."""
    return ["bench", *bundles, *images.words, "-o", "results.json"]


def _beside(bundle: Path) -> "dict[Path, Manifest]":
    """The manifests of the other bundles in its folder; whether they are whole, whoever opens them says."""
    from falcon_edge.documents import read_document
    from falcon_edge.manifest import Manifest
    from falcon_edge.place import MANIFEST, SUFFIX

    found: dict[Path, Manifest] = {}
    for path in sorted(bundle.parent.glob(f"*{SUFFIX}")):
        with suppress(BadInput, OSError):
            if not path.samefile(bundle):
                found[path] = read_document(path / MANIFEST, Manifest)
    return found
