"""The card of a bare model file: what it says of itself, wherever its bundle is."""

import json
from pathlib import Path

from pydantic import ValidationError

from converters.description import Description
from falcon_edge.bundle import Card
from falcon_edge.errors import BadInput


def read_card(path: Path, description: Description) -> Card | None:
    """The card that a file carries. Raises BadInput if it is not one that this version reads."""
    if description.card is None:
        return None
    try:
        return Card.model_validate_json(json.dumps(description.card))
    except ValidationError as error:
        raise BadInput(f"{path}: its card cannot be read ({error.errors()[0]['msg']})") from error
