"""The state of a training run in a file, from which a killed run goes on."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from falcon_edge.errors import BadInput
from falcon_edge.place import replacing
from falcon_edge.training.images import Images
from falcon_edge.training.recipe import Recipe
from falcon_edge.training.team import Team

ADVICE = "remove it to start over"


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state as a whole. Raises BadInput where that cannot be."""
    try:
        with replacing(path) as part:
            torch.save(state, part)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{path}: cannot be written ({' '.join(str(error).split())})") from error


def read_state(path: Path, fingerprint: str, team: Team) -> dict[str, Any]:
    """The state of a run with this fingerprint, on the CPU. Raises BadInput for a damaged file, and another run's."""
    with whole(path):
        saved = io.BytesIO(team.told(path.read_bytes() if team.leads else None))
        with zipfile.ZipFile(saved) as archive:  # torch does not look at the checksums
            damaged = archive.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(damaged)
        saved.seek(0)
        state: dict[str, Any] = torch.load(saved, weights_only=True, map_location="cpu")
        same = state["fingerprint"] == fingerprint
    if not same:
        raise BadInput(f"{path}: belongs to a run with another network, data or recipe; {ADVICE}")
    return state


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Inside the block a state is read: whatever it lacks is a BadInput that names the file."""
    try:
        yield
    except Exception as error:
        raise BadInput(f"{path}: not a whole training checkpoint; {ADVICE}") from error


def fingerprint_of(recipe: Recipe, networks: Sequence[nn.Module | None], splits: Sequence[Images]) -> str:
    """What must be equal for a run to go on: recipe, weights that it starts with, those of a teacher, images."""
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode())
    for network in networks:
        state = {} if network is None else network.state_dict()
        for name, tensor in state.items():
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for images in splits:
        digest.update(images.digest().encode())
    return digest.hexdigest()
