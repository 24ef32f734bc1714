"""What a user should know of something that went on all the same: a Python warning, which the command line prints."""

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_NAMES: ContextVar[Mapping[str, str]] = ContextVar("names", default={})  # noqa: B039  # nobody changes it


class Notice(UserWarning):
    """One line: what was found, and what it means for the result."""


def notice(text: str) -> None:
    """Say it to whoever called: the command line shows it as `warning: TEXT`, a script as any Python warning."""
    warnings.warn(in_their_names(text), Notice, stacklevel=3)


@contextmanager
def calling(names: Mapping[str, str]) -> Iterator[None]:
    """Let what is said in the block call things otherwise: files that are there for a while as the user's, say."""
    token = _NAMES.set({**_NAMES.get(), **names})
    try:
        yield
    finally:
        _NAMES.reset(token)


def in_their_names(text: str) -> str:
    """A text with the names that `calling` gave."""
    names = _NAMES.get()
    longest_first = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(longest_first, lambda found: names[found[0]], text) if names else text
