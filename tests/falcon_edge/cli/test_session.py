"""What a verb says beside its result."""

import sys
import warnings
from pathlib import Path

import pytest
import typer

from falcon_edge.cli.session import session
from falcon_edge.notices import Notice, notice
from runtime_bench.results import load

EXAMPLE = Path(__file__).parents[3] / "docs/examples/results.json"


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


def test_a_flag_is_said_of_a_file(capsys):
    """A model has several of one target."""
    results = load(EXAMPLE)
    with session(as_json=False, debug=False, quiet=False) as out:
        out.flags(results)
    entry = next(entry for entry in results.entries if entry.flags)
    assert f"{entry.model.name} ({entry.model.target} {entry.model.precision})" in capsys.readouterr().err


def test_a_script_gets_a_notice_as_a_warning():
    with pytest.warns(Notice, match="nothing failed"):
        notice("nothing failed")
