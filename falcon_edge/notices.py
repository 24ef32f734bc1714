"""What a user should know of something that went on all the same: a Python warning, which the command line prints."""

import warnings


class Notice(UserWarning):
    """One line: what was found, and what it means for the result."""


def notice(text: str) -> None:
    """Say it to whoever called: the command line shows it as `warning: TEXT`, a script as any Python warning."""
    warnings.warn(text, Notice, stacklevel=3)
