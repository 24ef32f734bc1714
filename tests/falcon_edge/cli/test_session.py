"""What a verb says beside its result."""

import ast
import re
import sys
import warnings
from pathlib import Path

import pytest
import typer

from falcon_edge.cli import session as session_module
from falcon_edge.cli.session import session
from falcon_edge.notices import Notice, notice

ROOT = Path(__file__).parents[3]
PROGRAMS = {"app.py", "sysroot.py"}  # these call other programs


def test_a_notice_is_one_line_on_stderr_and_is_said_once(capsys):
    with session(as_json=True, debug=False, quiet=False) as out:
        for _ in range(2):
            notice("two\nlines \x1b[31m")
        notice("another")
        out.result({"a": 1}, lambda: "")
    printed = capsys.readouterr()
    assert printed.err == "warning: two lines \\x1b[31m\nwarning: another\n"
    assert printed.out.startswith("{")


def test_notices_are_silent_with_q_and_other_warnings_are_what_they_were(capsys):
    def verb():
        with session(as_json=False, debug=False, quiet=True):
            notice("nothing failed")
            warnings.warn("of a library", RuntimeWarning, stacklevel=1)

    with pytest.warns(RuntimeWarning, match="of a library"):
        verb()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("code", [None, 0, 1, "done"])
def test_code_that_ends_the_program_is_an_error(capsys, code):
    with pytest.raises(typer.Exit) as ended, session(as_json=False, debug=False, quiet=False):
        sys.exit(code)
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: the network's code called sys.exit; what it is called for must return\n"


class Cancelled(BaseException):
    """As asyncio's and pytest's own are: no Exception, so that it passes by whoever handles errors."""


@pytest.mark.parametrize("kind", [GeneratorExit, Cancelled])
def test_code_that_raises_what_nobody_catches_is_an_error(capsys, kind):
    with pytest.raises(typer.Exit) as ended, session(as_json=False, debug=False, quiet=False):
        raise kind
    assert ended.value.exit_code == 2
    said = f"error: the network's code raised {kind.__name__}; what it is called for must return\n"
    assert capsys.readouterr().err == said


def test_a_script_gets_a_notice_as_a_warning():
    with pytest.warns(Notice, match="nothing failed"):
        notice("nothing failed")


def strings(path):
    """The texts of a source, docstrings excepted."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return [node.value for node in constants if isinstance(node.value, str)]


def texts_of_libraries():
    files = [path for name in ("falcon_edge", "converters", "runtime_bench") for path in (ROOT / name).rglob("*.py")]
    return [
        (path.name, text)
        for path in files
        if "cli" not in path.parts and path.name not in PROGRAMS
        for text in strings(path)
    ]


def test_what_libraries_name_are_parameters_of_the_command_line():
    names = {name for _, text in texts_of_libraries() for name in session_module.PARAMETER.findall(text)}
    assert {"max_drop", "rank", "weights_key"} <= names
    assert names <= session_module._option_names().keys()


def test_no_library_speaks_of_options():
    options = "|".join(map(re.escape, {*session_module._option_names().values()} - {"--version"}))  # of any program
    spoken = re.compile(rf"(?<![\w(-])({options})(?![\w(-])")
    assert spoken.search("give it with --input") is not None
    assert [(name, text) for name, text in texts_of_libraries() if spoken.search(text)] == []


def test_options_stand_for_parameters():
    said = session_module.in_options("give `input_shape` or `plan`; `nothing` is `not ours`")
    assert said == "give --input or --plan; `nothing` is `not ours`"
