"""The program, run as users run it: in a process of its own, looked at from outside."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAM = (sys.executable, "-m", "falcon_edge")
# One thread for torch: the tests share the machine's cores.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
LIMIT = 600


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    command: str
    code: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document that --json promises on stdout, and nothing beside it."""
        return json.loads(self.out)

    @property
    def words(self):
        """The words of the tables on stdout, however their lines are broken."""
        return " ".join("".join(" " if 0x2500 <= ord(sign) < 0x2580 else sign for sign in self.out).split())


def run(command, folder, *, program=PROGRAM, limit=LIMIT, **environment):
    """Run `falcon-edge COMMAND` in a folder, for `limit` seconds at most."""
    done = subprocess.run(
        [*program, *shlex.split(command)],
        cwd=folder,
        env=ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
    )
    return Done(command, done.returncode, done.stdout, done.stderr)


def start(command, folder):
    """Start `falcon-edge COMMAND` and hand back the running process, its stdout and stderr in pipes."""
    return subprocess.Popen(
        [*PROGRAM, *shlex.split(command)],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def listing(folder):
    """Every file and folder below, with size and time of change: equal listings mean that nothing was touched."""
    found = {path.relative_to(folder).as_posix(): path.lstat() for path in Path(folder).rglob("*")}
    return {name: (status.st_mode, status.st_size, status.st_mtime_ns) for name, status in found.items()}


class WarmProgram:
    """The same program, forked for every command from a process that has imported torch: 2 s less for each.

    `temporary` is its folder for temporary files.
    """

    def __init__(self, folder):
        self.temporary = Path(folder, "temporary")
        self.temporary.mkdir()
        self._out, self._err = Path(folder, "out"), Path(folder, "err")
        self._process = subprocess.Popen(
            [sys.executable, "-P", Path(__file__).with_name("warm_program.py")],
            env=ENVIRONMENT | {"TMPDIR": str(self.temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, command, folder, *, err=None):
        """Run `falcon-edge COMMAND` in a folder; `err` may be a terminal to have stderr on."""
        files = {"out": str(self._out), "err": str(err or self._err)}
        request = {"words": shlex.split(command), "folder": str(folder)} | files
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Done(command, code, self._out.read_text(), "" if err else self._err.read_text())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.stdin.close()
        self._process.wait(LIMIT)
        self._process.stdout.close()
