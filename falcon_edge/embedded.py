"""models/index.json: which models are embedded in an app or a page, and the files of each (docs/formats.md)."""

from typing import Annotated, Literal

from pydantic import Field

from falcon_edge.documents import Document
from falcon_edge.manifest import BundlePath, Role

INDEX = "index.json"
# Android's packager leaves files out whose names start with a dot or an underscore.
FOLDER = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


class EmbeddedFile(Document):
    """A file of a bundle as it is embedded, byte for byte."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class EmbeddedModel(Document):
    """A model by its folder in models/; its files by their paths in it, manifest.json among them."""

    folder: Annotated[str, Field(pattern=FOLDER)]
    name: str
    role: Role
    identity: str = Field(description="lineage.identity of its manifest")
    files: dict[BundlePath, EmbeddedFile]

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(file.bytes for file in self.files.values())


class Index(Document):
    """index.json: the models, sorted by their folders. What is not among `files` is not there."""

    schema_version: Literal[1] = 1
    models: tuple[EmbeddedModel, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files of all models."""
        return sum(model.size for model in self.models)
