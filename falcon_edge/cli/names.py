"""What libraries call a parameter, as the option that gives it."""

import re
from functools import cache

import typer

PROGRAMS: list[typer.Typer] = []  # that whose options are meant: main.py adds it
PARAMETER = re.compile(r"`([a-z][a-z_]*)`")


def in_options(text: str) -> str:
    """A text in which libraries name parameters in backticks, with the options that give them."""
    return PARAMETER.sub(lambda found: option_names().get(found[1], found[0]), text)


@cache
def option_names() -> dict[str, str]:
    """The options of all verbs by the names of their parameters."""
    commands, names = [typer.main.get_command(program) for program in PROGRAMS], dict[str, str]()
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        options = (each for each in command.params if each.param_type_name == "option")
        names |= {str(each.name): max(each.opts, key=len) for each in options}
    return names
