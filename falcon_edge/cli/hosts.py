"""What of the program runs on Windows: what loads no model. The rest says where it runs."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from falcon_edge.cli.session import session
from falcon_edge.errors import BadInput
from runtime_bench.system import WINDOWS

REMEDY = "which sets no limits to what loads models: use WSL 2 (wsl --install, then the same command in it)"


def refuse_on_windows() -> None:
    """Raise BadInput on Windows."""
    if WINDOWS:
        raise BadInput(f"this does not run on Windows, {REMEDY}")


def loads_models(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb that loads models: itself, or on Windows one that refuses, whatever its options."""
    if not WINDOWS:
        return verb

    @wraps(verb)
    def refused(*, as_json: bool, debug: bool, quiet: bool, **others: Any) -> None:
        with session(as_json, debug, quiet):
            raise BadInput(f"{verb.__name__} does not run on Windows, {REMEDY}")

    return refused
