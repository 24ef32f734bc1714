"""The card of a bare model file: what it says of itself, wherever its bundle is."""

import json
from pathlib import Path

from converters.description import Description
from falcon_edge.documents import parse_document
from falcon_edge.manifest import Card


def read_card(path: Path, description: Description) -> Card | None:
    """The card that a file carries. Raises BadInput if it is not one that this version reads."""
    if description.card is None:
        return None
    return parse_document(json.dumps(description.card).encode(), path, Card)
