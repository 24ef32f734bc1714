"""The command that usually comes next, which verbs end with."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from falcon_edge.errors import BadInput

if TYPE_CHECKING:
    from falcon_edge.manifest import Manifest

Words = list[object]
EPOCHS = 10


@dataclass(frozen=True)
class Given:
    """What the next verb is given as the present one was."""

    data: str | None = None
    class_map: Path | None = None
    metric: str | None = None

    @property
    def words(self) -> Words:
        """As options."""
        options = ("--data", self.data), ("--class-map", self.class_map), ("--metric", self.metric)
        return [word for name, value in options if value is not None for word in (name, value)]


def after_packing(bundle: Path, given: Given) -> Words:
    """Compress it, and tune it."""
    data: Words = [] if given.data is not None else ["--data", "DATA"]
    how: Words = ["--rank", 1, "--finetune-epochs", EPOCHS]
    return ["compress", bundle, *given.words, *data, *how, "-o", f"{bundle.with_suffix('')}-rank1"]


def to_export(bundle: Path, given: Given, targets: Sequence[str] = (), precisions: Sequence[str] = ()) -> Words:
    """With int8 where there are images for it, unless precisions were chosen."""
    chosen = precisions or (("fp32", "int8") if given.data is not None else ())
    formats: Words = [word for name in targets for word in ("--target", name)]
    formats += [word for name in chosen for word in ("--precision", name)]
    return ["export", bundle, *formats, *given.words]


def after_export(
    bundle: Path, manifest: "Manifest", given: Given, targets: Sequence[str], precisions: Sequence[str]
) -> Words:
    """Measure it beside the network that it came from, where that lies beside it; export that first if it is not."""
    standard = _standard(bundle, manifest)
    if standard is None:
        return to_bench([bundle], given)
    path, its = standard
    files = {export.file for export in its.exports}
    if not {export.file for export in manifest.exports} <= files:
        return to_export(path, given, targets, precisions)
    return to_bench([path, bundle], given)


def to_bench(bundles: Sequence[Path], given: Given) -> Words:
    """In one run: models are measured in turns."""
    return ["bench", *bundles, *given.words, "-o", "results.json"]


def _standard(bundle: Path, manifest: "Manifest") -> "tuple[Path, Manifest] | None":
    from falcon_edge.bundle import open_bundle
    from falcon_edge.place import SUFFIX

    parent = manifest.lineage.parent
    if parent is not None:
        path = bundle.parent / f"{parent.name}{SUFFIX}"
        with suppress(BadInput, OSError):
            found = open_bundle(path).manifest
            if found.lineage.identity == parent.identity:
                return path, found
    return None
