"""Systems that this machine is not: a Python from which is taken away what they lack, in processes of their own.

Child processes of such a process are of that system, too: sys.executable is what started it. That nothing is missing
that a real one lacks, or refuses, is not known.
"""

import os
import shlex
import sys
from pathlib import Path

from program import run

FOLDER = Path(__file__).with_suffix("")
ROOT = Path(__file__).parents[2]


class System:
    """The program, and Python, on a system by its name in systems/; `folder` is for what starts them."""

    def __init__(self, name, folder):
        self.folder, place = folder, FOLDER / name
        self.python = folder / "python"
        paths = shlex.quote(os.pathsep.join(map(str, (place, ROOT))))
        variables = f"PYTHONPATH={paths} FE_EXECUTABLE={shlex.quote(str(self.python))}"  # whatever a child is left with
        self.python.write_text(f'#!/bin/sh\n{variables} exec {shlex.quote(sys.executable)} "$@"\n')
        self.python.chmod(0o755)
        self.environment = {"PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def __call__(self, command, folder):
        """Run `falcon-edge COMMAND` in a folder."""
        return run(command, folder, program=(self.python, "-m", "falcon_edge"), **self.environment)

    def script(self, text, folder):
        """Run Python source in a folder."""
        return run("", folder, program=(self.python, "-c", text), **self.environment)
