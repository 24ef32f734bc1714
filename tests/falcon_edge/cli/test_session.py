"""What a verb says beside its result."""

import warnings

import pytest

from falcon_edge.cli.session import session
from falcon_edge.notices import Notice, notice


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


def test_a_script_gets_a_notice_as_a_warning():
    with pytest.warns(Notice, match="nothing failed"):
        notice("nothing failed")
