"""Cycles of executed blocks by LLVM's model of a core (llvm-mca): an estimate, without any wait for memory."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence

from runtime_bench.errors import DeviceError

# A block's instructions, 8 hexadecimal digits each, and how often it was executed.
Block = tuple[str, int]

OLDEST, NEWEST = 17, 29  # the first LLVM with a model of Neoverse N1
PACKAGE = "llvm-19"  # what Debian 12 and newer have
TRIPLE, FEATURES = "aarch64", "-mattr=+all"
ITERATIONS = 100  # of each block in a row: kernels are loops
DIGITS = 8
INVALID = re.compile(r"^<stdin>:(\d+):\d+: warning: invalid instruction encoding", re.MULTILINE)


def missing_llvm() -> tuple[str, str] | None:
    """What this machine lacks to estimate cycles and what to do about it, or None."""
    if _tools() is not None:
        return None
    return f"llvm-mca of LLVM {OLDEST} or newer: missing", f"apt-get install {PACKAGE}"


class CycleModel:
    """LLVM's model of a core. A block is simulated once in the life of this object."""

    def __init__(self, core: str):
        """`core` as LLVM calls it. Raises DeviceError if LLVM's tools are missing, with the command to run."""
        tools = _tools()
        if tools is None:
            raise DeviceError("; ".join(missing_llvm() or ()))
        self._disassembler, self._simulator = tools
        self._core = core
        self._cycles: dict[str, float | None] = {}
        self.name = f"LLVM {_version(self._simulator)} {core}"

    def cycles(self, blocks: Sequence[Block], instructions: int) -> float:
        """Cycles of `instructions` executed ones, of which the blocks are the hot ones: the rest takes as many each.

        Raises DeviceError if LLVM fails.
        """
        self._simulate({words for words, _ in blocks} - self._cycles.keys())
        cycles, covered = 0.0, 0
        for words, executed in blocks:
            each = self._cycles[words]
            if each is not None:
                cycles += executed * each
                covered += executed * (len(words) // DIGITS)
        if not covered:
            raise DeviceError(f"{self._simulator}: knows none of the executed instructions")
        return cycles * instructions / covered

    def _simulate(self, unknown: set[str]) -> None:
        """Find the cycles of blocks; None for those without an instruction that the model has."""
        self._cycles |= dict.fromkeys(unknown)
        text = self._disassemble({word for block in unknown for word in _words(block)})
        source = {block: [text[word] for word in _words(block) if text[word]] for block in sorted(unknown)}
        regions = [(block, lines) for block, lines in source.items() if lines]
        if not regions:
            return
        lines = []
        for index, (_, inside) in enumerate(regions):
            lines += [f"# LLVM-MCA-BEGIN {index}", *inside, f"# LLVM-MCA-END {index}"]
        target = (f"-mtriple={TRIPLE}", f"-mcpu={self._core}", FEATURES, "-skip-unsupported-instructions=any")
        done = _run([self._simulator, *target, f"-iterations={ITERATIONS}", "-call-latency=1", "-json"], lines)
        for region in json.loads(done.stdout)["CodeRegions"]:
            block, _ = regions[int(region["Name"])]
            self._cycles[block] = region["SummaryView"]["TotalCycles"] / ITERATIONS

    def _disassemble(self, words: Iterable[str]) -> dict[str, str]:
        """The text of each instruction; empty for what is none."""
        every = sorted(words)
        lines = [" ".join(f"0x{byte:02x}" for byte in reversed(bytes.fromhex(word))) for word in every]
        done = _run([self._disassembler, "-disassemble", f"-triple={TRIPLE}", FEATURES], lines)
        said = [line.strip() for line in done.stdout.splitlines()]
        text = iter([line for line in said if line and not line.startswith(".")])
        invalid = {int(number) for number in INVALID.findall(done.stderr)}
        return {word: "" if number in invalid else next(text) for number, word in enumerate(every, start=1)}


def _words(block: str) -> list[str]:
    return [block[start : start + DIGITS] for start in range(0, len(block), DIGITS)]


def _tools() -> tuple[str, str] | None:
    """LLVM's disassembler and simulator, of one version."""
    for suffix in (*(f"-{version}" for version in range(NEWEST, OLDEST - 1, -1)), ""):
        disassembler, simulator = shutil.which(f"llvm-mc{suffix}"), shutil.which(f"llvm-mca{suffix}")
        if disassembler and simulator and (suffix or int(_version(simulator).partition(".")[0]) >= OLDEST):
            return disassembler, simulator
    return None


def _version(tool: str) -> str:
    """As in 19.1.7."""
    found = re.search(r"LLVM version (\d+(?:\.\d+)*)", _run([tool, "--version"], ()).stdout)
    if found is None:
        raise DeviceError(f"{tool}: does not tell its version")
    return found[1]


def _run(command: Sequence[str], lines: Iterable[str]) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, input="".join(f"{line}\n" for line in lines), capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.splitlines() or ["it does not say why"]
        raise DeviceError(f"{command[0]} fails: {said[0]}")
    return done
