"""Files from anywhere, described in a child process that is limited in memory and time.

The ONNX checker is native code, and a small file can keep it busy for ever or want all memory.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from converters.description import Description
from converters.errors import ConversionError
from converters.inspect import describe
from converters.system import TOO_LONG, leave_no_core, limit_cpu, limit_memory, run

# What reading files apart may take. A 553 MB .onnx took 4 s on two busy cores and twice its size.
SECONDS, BYTES_PER_SECOND = 15.0, 10_000_000
MEMORY, MEMORY_PER_BYTE = 1024**3, 6
REFUSED = b"refused: "
CHILD = (sys.executable, "-P", "-m", "converters.inspect_apart")


def describe_apart(paths: Sequence[Path]) -> list[Description]:
    """`describe` files from anywhere, in a child process that is limited in memory and time, by their size.

    Raises ConversionError for the first that cannot be described, also where the child crashed on it.
    """
    from pydantic import TypeAdapter, ValidationError

    size = sum(path.stat().st_size for path in paths if path.is_file())
    seconds, memory = SECONDS + size / BYTES_PER_SECOND, MEMORY + MEMORY_PER_BYTE * size
    if not paths:
        return []
    command = [*CHILD, str(memory), str(int(seconds)), *map(str, paths)]
    try:
        done = run(command, seconds=2 * seconds, memory=memory)
        code, lines = done.returncode, done.stdout.splitlines()
    except subprocess.TimeoutExpired as error:
        code, lines = TOO_LONG, (error.stdout or b"").splitlines()
    except MemoryError as error:
        raise ConversionError(f"{paths[0]}: {_full(memory)}") from error
    if lines and lines[-1].startswith(REFUSED):
        raise ConversionError(lines[-1].removeprefix(REFUSED).decode(errors="replace"))
    if code == 0 and len(lines) == len(paths):
        try:
            return [TypeAdapter(Description).validate_json(line) for line in lines]
        except ValidationError as error:
            raise ConversionError(f"{paths[0]}: cannot be described ({error.errors()[0]['msg']})") from error
    path = paths[min(len(lines), len(paths) - 1)]
    if code == TOO_LONG:
        raise ConversionError(f"{path}: a damaged model: checking it took more than {seconds:.0f} s")
    raise ConversionError(f"{path}: a damaged model: checking it {_ending(code)}")


def _ending(code: int) -> str:
    return f"ended with {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _full(memory: int) -> str:
    return f"describing it takes more than {memory >> 20} MiB"


def main() -> None:
    """The child: limits itself, then describes files. argv: bytes of memory, seconds of CPU, files.

    Each is a line of JSON on stdout; REFUSED and a reason for one that cannot be described ends it.
    """
    memory, seconds, *paths = sys.argv[1:]
    leave_no_core()
    limit_cpu(int(seconds))
    limit_memory(int(memory))
    for path in paths:
        try:
            print(json.dumps(asdict(describe(Path(path)))), flush=True)
        except (ConversionError, MemoryError) as error:
            out_of_memory = isinstance(error, MemoryError) or "std::bad_alloc" in str(error)
            reason = f"{path}: {_full(int(memory))}" if out_of_memory else " ".join(str(error).split())
            sys.stdout.buffer.write(REFUSED + reason.encode(errors="replace") + b"\n")
            return


if __name__ == "__main__":
    main()
