"""Code of users' own: modules and functions that are named in texts, found as `python -m` finds them."""

import importlib
import sys
from pathlib import Path
from typing import Any

from falcon_edge.errors import BadInput


def imported(module: str, name: str, instead: str) -> Any:
    """What a module of the user's has under a name. Raises BadInput, which says what to use `instead`."""
    see_working_folder()
    try:
        return getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # a script without a guard may parse its arguments and end
        raise BadInput(f"{module}:{name} cannot be imported: {first_line(error)}; use {instead}") from error


def see_working_folder() -> None:
    """Let modules be found there, as `python -m` does: users' networks lie in the folder they work in."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def first_line(error: BaseException) -> str:
    """Its kind, and the first line of what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
