"""embed: bundles put into the Android app or the page, for it to run.

The folder models/ (falcon_edge/embedded.py) is made anew beside the former one, and exchanged with it in one step when
it is whole (falcon_edge/place.py): whenever the program is killed, the former models are there or the new ones.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from converters.formats import PRECISIONS, format_named
from falcon_edge import __version__
from falcon_edge.bundle import Bundle, open_bundle
from falcon_edge.documents import VERSION, canonical_json, read_document
from falcon_edge.embedded import FOLDER, INDEX, EmbeddedFile, EmbeddedModel, Index
from falcon_edge.errors import BadInput
from falcon_edge.manifest import Export, Manifest
from falcon_edge.place import MANIFEST, SUFFIX, locked, part_of, recover, swap

ARCHIVE = f"falcon-edge-android-demo-{__version__}.tar.gz"
APP, ASSETS, PAGE, MODELS = "app/src/main", "app/src/main/assets", "index.html", "models"
# In what is downloaded at once, Google Play takes 200 MB; two ABIs of a runtime need less than 50.
MAXIMUM_MIB = 150
CHUNK = 1 << 20


@dataclass(frozen=True)
class ExportFilter:
    """Which exported files of bundles are embedded; empty: all. Raises BadInput, or ConversionError, for a name."""

    targets: Sequence[str] = ()
    precisions: Sequence[str] = ()

    def __post_init__(self) -> None:
        for target in self.targets:
            format_named(target)
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise BadInput(f"{precision}: no such precision; there are {', '.join(PRECISIONS)}")

    def takes(self, export: Export) -> bool:
        """Whether a file is one of them."""
        return export.target in (self.targets or (export.target,)) and export.precision in (
            self.precisions or (export.precision,)
        )


def models_folder(folder: Path) -> Path:
    """Where the models of an app or a page lie. Raises BadInput for a folder that is neither."""
    if (folder / APP).is_dir():
        return folder / ASSETS / MODELS
    if (folder / PAGE).is_file():
        return folder / MODELS
    raise BadInput(
        f"{folder}: neither the app ({APP}) nor the page ({PAGE}); both are in android_demo/ of the repository and of "
        f"{ARCHIVE}, which `make android-archive` makes"
    )


def embedded(folder: Path) -> Index:
    """What is embedded in an app or a page. Raises BadInput."""
    models = models_folder(folder)
    recover(models)
    return _index(models)


def embed(
    bundles: Sequence[Path], folder: Path, choice: ExportFilter | None = None, *, maximum: int = MAXIMUM_MIB << 20
) -> Index:
    """Put bundles into an app or a page; one that is there under a bundle's name is replaced.

    maximum: bytes of all models together. Raises BadInput, which leaves the former models as they were.
    """
    added = {_folder_of(path): path for path in bundles}
    if len(added) < len(bundles):
        raise BadInput("two bundles have the same name, and would be one model; rename one")
    with _changed(folder) as (part, former):
        kept = [model for model in former.models if model.folder not in added]
        models = [_keep(models_folder(folder), part, model) for model in kept]
        for name, path in added.items():
            bundle = open_bundle(path)
            _refuse_older(bundle)
            chosen = _chosen(bundle, choice or ExportFilter())
            models.append(_add(bundle, chosen, part / name, _room(models, maximum, name)))
        index = _write_index(part, models)
    return index


def remove(names: Collection[str], folder: Path) -> Index:
    """Take models out of an app or a page, by their names. Raises BadInput for one that is not there."""
    with _changed(folder) as (part, former):
        there = [model.folder for model in former.models]
        for name in names:
            if name not in there:
                raise BadInput(f"{name}: no such model in {folder}; there are {', '.join(there) or 'none'}")
        kept = [model for model in former.models if model.folder not in names]
        index = _write_index(part, [_keep(models_folder(folder), part, model) for model in kept])
    return index


@contextmanager
def _changed(folder: Path) -> Iterator[tuple[Path, Index]]:
    """An empty folder that takes the place of the models at the end of the block, and what these are until then."""
    models = models_folder(folder)
    with locked(models):
        former = _index(models)
        part = part_of(models)
        try:
            part.mkdir()
            yield part, former
            swap(part, models)
        except OSError as error:
            raise BadInput(f"{error.filename or models}: {error.strerror}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _index(models: Path) -> Index:
    """The index of a folder of models, or one of nothing where there is none."""
    if not models.exists() or (models.is_dir() and not any(models.iterdir())):
        return Index()
    if not (models / INDEX).is_file():
        raise BadInput(f"{models}: holds something, but no {INDEX}, so that embed did not write it; move it away")
    return read_document(models / INDEX, Index)


def _folder_of(path: Path) -> str:
    """The name of a bundle as that of a folder."""
    name = path.stem if path.suffix.lower() == SUFFIX else path.name
    if not re.fullmatch(FOLDER, name) or name == INDEX:
        raise BadInput(
            f"{path}: an app takes names of up to 64 letters, digits, dots, hyphens and underscores; rename the bundle"
        )
    return name


def _refuse_older(bundle: Bundle) -> None:
    """Raise BadInput for a manifest that this program upgrades when it reads it: apps get it byte for byte."""
    if json.loads(bundle.file(MANIFEST).read_bytes()).get(VERSION) != Manifest.model_fields[VERSION].default:
        raise BadInput(f"{bundle.path}: its manifest is of an earlier version, which no app reads; export it again")


def _chosen(bundle: Bundle, choice: ExportFilter) -> list[Export]:
    exports = bundle.manifest.exports
    chosen = [export for export in exports if choice.takes(export)]
    if not chosen:
        there = ", ".join(f"{export.precision} {export.target}" for export in exports)
        raise BadInput(f"{bundle.path}: has no such file; it has {there or 'none at all: export it first'}")
    return chosen


def _room(models: Sequence[EmbeddedModel], maximum: int, name: str) -> int:
    """The bytes that are left for one more."""
    left = maximum - sum(model.size for model in models)
    if left < 0:
        raise BadInput(f"{name}: the other models have more than {_mib(maximum)} already, see `max_size`; remove some")
    return left


def _add(bundle: Bundle, exports: Sequence[Export], target: Path, room: int) -> EmbeddedModel:
    """Copy a bundle's files to a new folder. Raises BadInput if they are too large or change meanwhile."""
    names = [MANIFEST, *(export.file for export in exports)]
    for vector in bundle.manifest.golden.vectors:
        names += [vector.input, *([] if vector.pixels is None else [vector.pixels])]
        names += [vector.outputs[export.file] for export in exports if export.file in vector.outputs]
    names = list(dict.fromkeys(names))
    sizes = {name: bundle.file(name).stat().st_size for name in names}
    if sum(sizes.values()) > room:
        largest = max(sizes, key=lambda name: sizes[name])
        raise BadInput(
            f"{bundle.path}: has {_mib(sum(sizes.values()))} (the largest file is {largest}), and {_mib(room)} are "
            "left of what may be embedded; choose files by `target` and `precision`, remove a model, or allow more "
            "by `max_size`"
        )
    manifest = bundle.manifest
    return EmbeddedModel(
        folder=target.name,
        name=manifest.name,
        role=manifest.lineage.role,
        identity=manifest.lineage.identity,
        files={name: _copy(bundle, name, target / name) for name in sorted(names)},
    )


def _copy(bundle: Bundle, name: str, target: Path) -> EmbeddedFile:
    """Copy a file of a bundle, whose hash was found right and still is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    expected, found, size = bundle.digest(name), hashlib.sha256(), 0
    with bundle.file(name).open("rb") as source, target.open("xb") as file:
        while chunk := source.read(CHUNK):
            found.update(chunk)
            size += len(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if found.hexdigest() != expected:
        raise BadInput(f"{bundle.file(name)}: changed meanwhile; do it again")
    return EmbeddedFile(bytes=size, sha256=expected)


def _keep(models: Path, part: Path, model: EmbeddedModel) -> EmbeddedModel:
    """Have a model that is there in the new folder, too, without copying its bytes where the system allows."""
    for name, file in model.files.items():
        source, target = models / model.folder / name, part / model.folder / name
        if not source.is_file() or source.stat().st_size != file.bytes:
            raise BadInput(f"{source}: not as {INDEX} says; take {model.folder} out by `remove`, and embed it again")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    return model


def _write_index(part: Path, models: Sequence[EmbeddedModel]) -> Index:
    index = Index(models=tuple(sorted(models, key=lambda model: model.folder)))
    with (part / INDEX).open("xb") as file:
        file.write(canonical_json(index))
        file.flush()
        os.fsync(file.fileno())
    return index


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
