"""The trained network that ships with us, as a bundle of the user's, and the plan of its demo."""

import shutil
from importlib import resources
from pathlib import Path

from falcon_edge.bundle import MANIFEST, create_bundle, open_bundle
from falcon_edge.documents import read_document
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Manifest
from falcon_edge.place import bundle_path

SAMPLE_FOLDER = resources.files("falcon_edge.data") / "sample"
SHIPPED = SAMPLE_FOLDER / "vgg8.falcon"
PLAN = SAMPLE_FOLDER / "plan.json"  # how it was made: docs/plans.md


def copy_sample_network(path: Path, *, force: bool = False) -> Path:
    """The shipped standard network as a bundle at `path`, under that name; with `force` in the place of another."""
    path = bundle_path(path)
    with create_bundle(path, force=force) as draft, resources.as_file(SHIPPED) as source:
        shutil.copytree(source, draft.path, dirs_exist_ok=True)
        draft.manifest = open_bundle(source).manifest.model_copy(update={"name": path.stem})
    return path


def is_shipped(bundle: Path) -> bool:
    """Whether a bundle is the shipped network or made from it."""
    with resources.as_file(SHIPPED) as source:
        identity = read_document(source / MANIFEST, Manifest).lineage.identity
    try:
        lineage = read_document(bundle / MANIFEST, Manifest).lineage
    except BadInput:
        return False
    return identity in (lineage.identity, None if lineage.parent is None else lineage.parent.identity)
