"""Libraries name parameters, and the command line the options that give them."""

import ast
import re
from pathlib import Path

from falcon_edge.cli.main import app
from falcon_edge.cli.names import PARAMETER, PROGRAMS, in_options, option_names

ROOT = Path(__file__).parents[3]
CALLERS = {"app.py", "dex.py", "sysroot.py"}  # of other programs, which have options too


def test_the_program_is_the_one_that_users_call():
    assert [app] == PROGRAMS


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
        if "cli" not in path.parts and path.name not in CALLERS
        for text in strings(path)
    ]


def test_what_libraries_name_are_parameters_of_the_command_line():
    names = {name for _, text in texts_of_libraries() for name in PARAMETER.findall(text)}
    assert {"max_drop", "rank", "weights_key"} <= names
    assert names <= option_names().keys()


def test_no_library_speaks_of_options():
    options = "|".join(map(re.escape, {*option_names().values()} - {"--version"}))  # of any program
    spoken = re.compile(rf"(?<![\w(-])({options})(?![\w(-])")
    assert spoken.search("give it with --input") is not None
    assert [(name, text) for name, text in texts_of_libraries() if spoken.search(text)] == []


def test_options_stand_for_parameters():
    said = in_options("give `input_shape` or `plan`; `nothing` is `not ours`")
    assert said == "give --input or --plan; `nothing` is `not ours`"
