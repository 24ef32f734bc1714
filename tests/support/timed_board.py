"""A board whose CPU, clock and latencies are made up; its sshd, its worker and their answers are real."""

import json
import os
import sys
from pathlib import Path

from board import SESSION, Board

from runtime_bench.environment import CPU

WORKER = Path(__file__).parent / "timed_worker.py"
# Commands that look at the machine see the folder `root` instead.
LOOKING = r"""#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
*/proc/cpuinfo*)
    export PATH={tools}:/usr/bin:/bin
    command=$(printf %s "$SSH_ORIGINAL_COMMAND" | sed 's#/proc/#{root}/proc/#g; s#/sys/#{root}/sys/#g')
    sh -c "$command" | sed 's#^==> {inside}/#==> #'
    exit;;
esac
"""
A53, A72 = 0xD03, 0xD08


class TimedBoard(Board):
    """Its last CPU is the fastest, and the others are Cortex-A53; its clock is fixed."""

    def __init__(self, folder: Path, part=A72, *, governor="performance", mhz=1500, bits=64):
        super().__init__(folder)
        self.root, self.cpus = folder / "root", sorted(os.sched_getaffinity(0))
        blocks = []
        for cpu in self.cpus:
            fast = cpu == self.cpus[-1]
            blocks.append(f"processor\t: {cpu}\n")
            if part is not None:
                blocks[-1] += f"CPU implementer\t: 0x41\nCPU part\t: {part if fast else A53:#x}\n"
            self.shows(f"{CPU}/cpu{cpu}/cpu_capacity", "1024" if fast else "400")
            self.shows(f"{CPU}/cpu{cpu}/cpufreq/scaling_governor", governor if fast else "ondemand")
            self.ticks(cpu, mhz if fast else 600)
        self.shows("proc/cpuinfo", "\n".join(blocks) + "\nModel\t: A Synthetic Board\n")
        self.shows("proc/loadavg", "0.00 0.00 0.00 1/100 1000")
        self._write("tools/getconf", f"#!/bin/sh\necho {bits}\n")
        looking = LOOKING.format(tools=self.tools, root=self.root, inside=str(self.root).lstrip("/"))
        self._write("session", looking + SESSION.format(home=self.home, tools=self.tools).partition("\n")[2])

    def ticks(self, cpu: int, mhz: float | None) -> None:
        """The clock of a CPU; None: it does not tell."""
        path = f"{CPU}/cpu{cpu}/cpufreq/scaling_cur_freq"
        if mhz is None:
            (self.root / path).unlink()
        else:
            self.shows(path, str(round(1000 * mhz)))

    def shows(self, name: str, text: str) -> None:
        """What is in one of the kernel's files."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def takes(self, nanoseconds: dict[str, float]) -> None:
        """How long an inference takes, by the SHA-256 of the model's file."""
        table = self.folder / "nanoseconds.json"
        table.write_text(json.dumps(nanoseconds))
        python = sys.executable
        self.answer_by(f'[ "$1" = -c ] && exec {python} "$@"\nexec {python} {WORKER} {table} "$@"')
