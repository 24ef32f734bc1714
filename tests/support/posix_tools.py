"""What steps find on a macOS runner: tools that know POSIX's options and not GNU's, and no others."""

import shlex
import shutil
import sys
from pathlib import Path

# By tool, the options that POSIX and BSD both have, as getopts takes them.
OPTIONS = {"cat": "u", "cp": "fHiLPpR", "mkdir": "m:p", "sed": "e:f:n"}
TOOL = """#!/bin/sh
while getopts {options} option; do [ "$option" != '?' ] || exit 64; done
POSIXLY_CORRECT=1 exec {program} "$@"
"""
# pip installs nothing, but its arguments are kept: "-m pip install ..." in a line each.
PYTHON = """#!/bin/sh
case "$*" in "-m pip install "*) echo "$*" >> {installed}; exit;; esac
exec {python} "$@"
"""
PROGRAM = """#!/bin/sh
exec {python} -m falcon_edge "$@"
"""


def write_tools(folder: Path, installed: Path) -> None:
    """Write the tools, python and falcon-edge to a new folder, which is to be the whole PATH.

    installed: gets a line for every `python -m pip install`, which does nothing else.
    """
    folder.mkdir()
    python, kept = shlex.quote(sys.executable), shlex.quote(str(installed))
    scripts = {name: TOOL.format(options=options, program=shutil.which(name)) for name, options in OPTIONS.items()}
    scripts |= {"python": PYTHON.format(python=python, installed=kept), "falcon-edge": PROGRAM.format(python=python)}
    for name, text in scripts.items():
        write_script(folder / name, text)


def write_script(path: Path, text: str) -> None:
    """Write a program."""
    path.write_text(text)
    path.chmod(0o755)
