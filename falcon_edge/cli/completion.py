"""Completion of commands by the user's shell: its options, and what can stand for arguments."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from falcon_edge.cli.session import session
from falcon_edge.errors import BadInput
from falcon_edge.place import SUFFIX

PROGRAM, VARIABLE = "falcon-edge", "_FALCON_EDGE_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
THIS_SHELL = "this"
Completer = Callable[[str], Iterator[str]]
NETWORKS = ("vgg19", "resnet34", "vgg16_bn", "resnet18", "vgg8")  # of models/sources.py, which imports torch
# Of falcon/units and falcon/forms, which import torch too.
UNITS = ("dsconv", "mobilev2", "shuffle", "shufflev2", "stconv_branch", "falcon", "falcon_branch")
FORMS = ("falcon", "dsconv", "tucker2", "lowrank_in", "lowrank_out", "spatial", "narrow", "mixed")


def with_shell(words: Sequence[str]) -> list[str]:
    """A command line; where an option of completion ends it, the shell that it was typed in is meant."""
    asks = words[-1:] in (["--install-completion"], ["--show-completion"])
    return [*words, THIS_SHELL] if asks else [*words]


def answer_shells() -> None:
    """Answer what the scripts of shells ask, by the environment; a Typer without options of its own does not."""
    if VARIABLE in os.environ:
        from typer.completion import completion_init

        completion_init()


def here(*suffixes: str, names: Sequence[str] = ()) -> Completer:
    """What completes an argument: these names, and what lies here and ends so. Where none fits, a shell takes files."""

    def complete(incomplete: str) -> Iterator[str]:
        yield from names
        yield from (path.name for path in sorted(Path().iterdir()) if path.suffix.lower() in suffixes)

    return complete


def one_of(names: Sequence[str]) -> Completer:
    """What completes one of these names."""
    return lambda incomplete: (name for name in names if name.startswith(incomplete))


model = here(SUFFIX, ".onnx", names=NETWORKS)
bundle = here(SUFFIX)
unit = one_of(UNITS)
form = one_of(FORMS)
source = here(SUFFIX, ".onnx")
file = here(SUFFIX, ".onnx", ".tflite")
judged = here(SUFFIX, ".onnx", ".tflite", ".json")
results = here(".json")


def _install(context: typer.Context, shell: str | None) -> None:
    if shell is not None and not context.resilient_parsing:
        with session(False, False, False):
            from typer.completion import install

            name, path = install(_named(shell), PROGRAM, VARIABLE)
            print(f"{name} completes falcon-edge from {path}, once you open a new terminal")
        raise typer.Exit


def _show(context: typer.Context, shell: str | None) -> None:
    if shell is not None and not context.resilient_parsing:
        with session(False, False, False):
            from typer.completion import get_completion_script

            print(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=_named(shell)))
        raise typer.Exit


def _named(shell: str) -> str:
    if shell == THIS_SHELL:
        import shellingham

        try:
            shell = shellingham.detect_shell()[0]
        except shellingham.ShellDetectionFailure:
            shell = Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise BadInput(f"{shell or 'this shell'}: name a shell that completion is for: {', '.join(SHELLS)}")
    return shell


def _shells() -> list[str]:
    return [*SHELLS]


Install = Annotated[
    str | None,
    typer.Option(
        "--install-completion",
        metavar="[SHELL]",
        callback=_install,
        is_eager=True,
        autocompletion=_shells,
        help="Make bash, zsh or fish complete commands (by default the shell you are in), and exit.",
    ),
]
Show = Annotated[
    str | None,
    typer.Option(
        "--show-completion",
        metavar="[SHELL]",
        callback=_show,
        is_eager=True,
        autocompletion=_shells,
        help="Show the script that does it, and exit.",
    ),
]
