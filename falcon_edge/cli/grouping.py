"""Options that several verbs have together, as one parameter of each: a dataclass whose fields are the options."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Any, get_type_hints


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb` with the fields of its dataclasses as parameters of its own, in the places of these, all by keyword."""
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, type[Any]] = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)
    }
    own = [each for name, given in signature(verb).parameters.items() for each in _options(given, hints[name])]

    @wraps(verb)
    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        verb(**given)

    called.__signature__ = signature(verb).replace(parameters=own)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in own}
    return called


def _options(parameter: Parameter, hint: Any) -> Iterator[Parameter]:
    """What a parameter stands for: itself, or an option for each field of its dataclass."""
    if not is_dataclass(hint):
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hint)
        return
    named = get_type_hints(hint, include_extras=True)
    for each in fields(hint):
        default = Parameter.empty if each.default is MISSING else each.default
        yield Parameter(each.name, Parameter.KEYWORD_ONLY, default=default, annotation=named[each.name])
