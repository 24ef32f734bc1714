"""What every verb shares: --json, --debug, -q, progress, and errors as one line and an exit code."""

import io
import os
import shlex
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer

from falcon_edge.cli.ending import complain, scratch, signals
from falcon_edge.cli.names import in_options
from falcon_edge.errors import BadInput, DeviceFailed, FalconEdgeError
from falcon_edge.notices import Notice
from runtime_bench.system import WINDOWS
from runtime_bench.text import document_text, printed, terminal, terminal_lines

if TYPE_CHECKING:
    from falcon_edge.progress import Progress
    from runtime_bench.results import Flag, Results

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; everything else on stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]

INTERNAL = 70  # EX_SOFTWARE of sysexits.h
REPORT = "an internal error: run again with --debug, and report what that shows"
PIPE_CLOSED = 141  # what a shell reports for a program that SIGPIPE ended, as in `falcon-edge inspect X | head`
WIDTH_IN_A_PIPE = 160


class Session:
    """Where one verb's output goes."""

    def __init__(self, as_json: bool, quiet: bool):
        self.as_json, self.quiet, self.follows = as_json, quiet, False

    def say(self, line: str) -> None:
        """One line about what is going on, on stderr."""
        if not self.quiet:
            complain(terminal(in_options(line)))

    def result(self, document: Any, render: Callable[[], Any]) -> None:
        """The verb's result: `document` (plain JSON values) with --json, else what `render` makes, by rich."""
        if self.follows:
            return
        try:
            if self.as_json:
                print(document_text(document), flush=True)
            else:
                print(_text(render()), end="", flush=True)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again when it ends
            if isinstance(error, BrokenPipeError):
                raise
            raise BadInput(f"the result cannot be written to standard output ({error.strerror})") from error

    def next(self, words: Sequence[object]) -> None:
        """The last line: the command to type next, for people."""
        if not self.as_json:
            join = subprocess.list2cmdline if WINDOWS else shlex.join
            self.say(f"next: falcon-edge {join([str(word) for word in words])}")

    def flags(self, results: "Results") -> None:
        """What makes figures doubtful, one line a reason, on stderr: of the machine once, whatever it measured."""
        flagged: dict[Flag, list[str]] = {}
        for entry in results.entries:
            for flag in entry.flags:
                flagged.setdefault(flag, []).append(
                    f"{entry.model.name} ({entry.model.target} {entry.model.precision})"
                )
        for flag, names in flagged.items():
            every = len(names) == len(results.entries) > 1
            of = f"all {len(names)} files" if every else ", ".join(dict.fromkeys(names))
            self.say(f"{of}: {flag.flag}: {flag.reason}; {flag.remedy}")

    def failures(self, lines: Sequence[str]) -> None:
        """Raise DeviceFailed for what failed while the rest went on: the first of it, and how much more there is."""
        if lines:
            raise DeviceFailed(lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""))

    @contextmanager
    def team(self, output: Path, accelerator: str) -> Iterator[Path]:
        """The bundle to write, within the team of processes that torchrun started, if it did: the first one's is kept.

        The others do the same work, say nothing, and write to a place that goes again.
        """
        from falcon_edge.training.team import joined

        with joined(accelerator) as team:
            if team.leads:
                yield output
                return
            self.quiet = self.follows = True
            with tempfile.TemporaryDirectory(prefix="falcon-edge-") as folder:
                yield Path(folder) / output.name

    @contextmanager
    def progress(self) -> Iterator["Progress"]:
        """A bar on a terminal; in a pipe a plain line for every new text; nothing with -q."""
        if self.quiet:
            from falcon_edge.progress import silent

            yield silent
        elif sys.stderr.isatty():
            from rich import progress as rich_progress
            from rich.console import Console

            from falcon_edge.progress import Result

            said = rich_progress.TextColumn("{task.description}", markup=False)
            columns = (rich_progress.BarColumn(), rich_progress.TimeRemainingColumn(), said)
            console = Console(file=cast("IO[str]", _Steady(sys.stderr)))
            with rich_progress.Progress(*columns, console=console, transient=True) as bar:
                task = bar.add_task("")

                def advance(done: int, total: int, text: str) -> None:
                    bar.update(task, completed=done, total=total, description=terminal(text))
                    if isinstance(text, Result):
                        bar.console.print(terminal(text), markup=False, highlight=False, soft_wrap=True)

                yield advance
        else:
            last = ""

            def line(done: int, total: int, text: str) -> None:
                nonlocal last
                if text != last:
                    last = text
                    self.say(text)

            yield line


@contextmanager
def session(as_json: bool, debug: bool, quiet: bool) -> Iterator[Session]:
    """Run a verb: what a user can cause ends in one line on stderr and the exit code of its kind."""
    out = Session(as_json, quiet)
    with signals() as received, scratch():
        try:
            with _notices(out), _to_the_end():
                yield out
        except (KeyboardInterrupt, Exception) as error:
            if received.first is not None or isinstance(error, KeyboardInterrupt):
                complain(received.word)
                raise typer.Exit(received.code) from None
            if isinstance(error, BrokenPipeError):
                raise typer.Exit(PIPE_CLOSED) from None
            code = exit_code(error)
            if debug:
                complain(terminal_lines(traceback.format_exc()).rstrip("\n"))
            elif code is None:
                complain(f"error: unexpected {type(error).__name__}: {_line(error)} ({REPORT})")
            else:
                complain(f"error: {_line(error)}")
            raise typer.Exit(INTERNAL if code is None else code) from None


class _Steady(io.TextIOBase):
    """A terminal that may hang up, which is no reason to lose what is measured."""

    def __init__(self, screen: TextIO):
        self._terminal = screen

    def isatty(self) -> bool:
        return self._terminal.isatty()

    def fileno(self) -> int:
        return self._terminal.fileno()

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._terminal.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._terminal.flush()


@contextmanager
def _to_the_end() -> Iterator[None]:
    """Nobody ends a verb half-way and calls it done: users' code may call sys.exit, or the like, wherever it runs."""
    try:
        yield
    except (KeyboardInterrupt, Exception):
        raise
    except BaseException as error:  # what passes by whoever handles errors: ours raises nothing of the kind
        did = "called sys.exit" if isinstance(error, SystemExit) else f"raised {type(error).__name__}"
        raise BadInput(f"the network's code {did}; what it is called for must return") from error


@contextmanager
def _notices(out: Session) -> Iterator[None]:
    """Print every notice as a line when it is given, once; other warnings stay what they are."""
    said: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if not issubclass(category, Notice):
                others(terminal(str(message)), category, *place)
            elif str(message) not in said:
                said.add(str(message))
                out.say(f"warning: {_line(Notice(str(message)))}")

        warnings.simplefilter("always", Notice)
        warnings.showwarning = show  # type: ignore[assignment]  # the documented way to print them otherwise
        yield


def _text(renderable: Any) -> str:
    """What rich makes for standard output: as wide and as coloured as it allows, plain in a pipe."""
    from rich.console import Console

    class PrintableConsole(Console):
        """Every text that a table or a line is made of comes by here."""

        def render_str(self, text: str, **options: Any) -> Any:
            return super().render_str(terminal(text), **options)

    width = None if sys.stdout.isatty() else WIDTH_IN_A_PIPE
    console = PrintableConsole(width=width, highlight=False, markup=False, emoji=False)  # texts mean what they say
    with console.capture() as capture:
        console.print(renderable)
    return printed(capture.get())


def exit_code(error: Exception) -> int | None:
    """The exit code of an error that a user can act on, or None for a bug of ours."""
    from converters.errors import ConversionError, ParityError
    from runtime_bench.errors import BenchInputError, DeviceError

    if isinstance(error, FalconEdgeError):
        return error.exit_code
    for kind, code in ((BenchInputError, 2), (DeviceError, 4), (ParityError, 1), (ConversionError, 2)):
        if isinstance(error, kind):
            return code
    return 2 if _without_torch(error) or (isinstance(error, OSError) and error.filename is not None) else None


def _without_torch(error: Exception) -> bool:
    """Whether torch is not there: model files are measured without."""
    return isinstance(error, ModuleNotFoundError) and error.name == "torch"


def _line(error: Exception) -> str:
    if _without_torch(error):
        return "this needs torch, which is not installed here: pip install torch"
    if isinstance(error, OSError) and error.filename is not None:
        return terminal(f"{error.filename}: {error.strerror}")
    return terminal(in_options(" ".join(str(error).split())))
