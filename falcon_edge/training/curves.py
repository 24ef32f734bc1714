"""What every epoch came to, in files that other programs read while a run goes on."""

import csv
import io
import json
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from falcon_edge.errors import BadInput
from falcon_edge.place import replacing
from falcon_edge.training.history import History

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

COLUMNS = "attempt", "epoch", "learning_rate", "loss", "validation_loss", "metric", "value"
METRICS = "metrics.csv"


class Curves(AbstractContextManager["Curves"]):
    """A folder with metrics.csv, written anew after every epoch, and events for TensorBoard where that is installed.

    None writes nothing. A run that goes on takes up the events where it was broken off. Raises BadInput for a folder
    that cannot be written.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._events: SummaryWriter | None = None

    def write(self, history: History) -> None:
        """All epochs so far."""
        if self.folder is None:
            return
        lines = [json.loads(line) for line in history.lines().splitlines()]
        rows = [line | (line.pop("quality") or {}) for line in lines]
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        try:
            with replacing(self.folder / METRICS) as part:
                part.write_text(text.getvalue())
            self._tell_tensorboard(len(rows) - 1, rows[-1])
        except OSError as error:
            raise BadInput(f"{self.folder}: cannot be written ({error.strerror})") from error

    def _tell_tensorboard(self, number: int, row: dict[str, Any]) -> None:
        if self._events is None:
            if find_spec("tensorboard") is None:
                return
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(self.folder), purge_step=number)
        named = {"loss": "loss", "validation_loss": "validation loss", "value": f"validation {row.get('metric')}"}
        for column, name in named.items():
            if row.get(column) is not None:
                self._events.add_scalar(name, row[column], number)
        self._events.flush()

    def __exit__(self, *_: object) -> None:
        if self._events is not None:
            self._events.close()
