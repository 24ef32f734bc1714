"""Runs falcon-edge's main() in a fork of this process for every line on stdin: {"words", "folder", "out", "err"}.

The exit code of each is a line on stdout. The fork ends as any program does: SystemExit and tracebacks are Python's.
"""

import gc
import json
import os
import sys

from falcon_edge.cli.main import main
from falcon_edge.steps import bench, compress, export, pack, train  # noqa: F401  # this is what takes time


def next_command():
    """The next command, in a fork that is to run it; this process stays here."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


gc.freeze()  # a collection in a fork would copy every page of torch
command = next_command()
os.chdir(command["folder"])
new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
for descriptor, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (command["out"], new), (command["err"], new))):
    os.dup2(os.open(path, flags), descriptor)
sys.argv = ["falcon-edge", *command["words"]]
try:
    main()
except SystemExit as end:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(end.code)  # Python would first take all of torch apart, which lasts longer than most commands
