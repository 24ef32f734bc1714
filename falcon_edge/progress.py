"""How long work says where it is, without knowing who listens."""

from dataclasses import dataclass
from typing import Protocol


class Result(str):
    """A text that says what came of something: it stays on the terminal."""


class Progress(Protocol):
    """Called now and then by long work."""

    def __call__(self, done: int, total: int, text: str) -> None:
        """`done` of `total` units of work are finished; `text` says what is being done, or what came of it."""


def silent(done: int, total: int, text: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Within:
    """The progress of a part, which is named before every text."""

    progress: Progress
    part: str

    def __call__(self, done: int, total: int, text: str) -> None:
        """See Progress."""
        said = f"{self.part}: {text}"
        self.progress(done, total, Result(said) if isinstance(text, Result) else said)
