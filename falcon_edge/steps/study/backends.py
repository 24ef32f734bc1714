"""Where the cells of a study are made: in this process, in several on this machine, or by Ray on many."""

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Protocol

from falcon_edge.errors import BadInput, FalconEdgeError
from falcon_edge.progress import Progress
from falcon_edge.steps.study.making import Task, make

PATIENCE = 10.0  # seconds, for a process that was asked to end
POLL = 0.5


@dataclass(frozen=True)
class Said:
    """A cell that is being made says where it is."""

    name: str
    text: str


@dataclass(frozen=True)
class Ended:
    """A cell has been made, or failed: why."""

    name: str
    failed: str | None = None


Event = Said | Ended


class Backend(Protocol):
    """Makes cells, `slots` of them at a time."""

    slots: int

    def start(self, task: Task) -> None:
        """Begin with a cell; there is a slot free."""

    def event(self) -> Event:
        """What happens next; some cell was begun."""

    def close(self) -> None:
        """End all that is being done: what was begun can go on later."""


def attempted(task: Task, progress: Progress) -> Ended:
    """Make a cell, whatever comes of it."""
    try:
        make(task, progress)
    except Exception as error:  # whatever a network's code may raise: the other cells go on
        said = str(error) if isinstance(error, FalconEdgeError) else f"{type(error).__name__}: {error}"
        return Ended(task.cell.name, said)
    return Ended(task.cell.name)


class Here:
    """One after the other, in this process. heard: gets what a cell says."""

    slots = 1

    def __init__(self, heard: Callable[[Said], None]):
        self._heard, self._tasks = heard, deque[Task]()

    def start(self, task: Task) -> None:
        """See Backend."""
        self._tasks.append(task)

    def event(self) -> Event:
        """See Backend."""
        task = self._tasks.popleft()
        return attempted(task, lambda done, total, text: self._heard(Said(task.cell.name, text)))

    def close(self) -> None:
        """See Backend."""


@dataclass
class _Worker:
    """A process with its end of a pipe, and the cell that it makes."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None


@dataclass
class Processes:
    """In `slots` fresh processes of this machine, each with its share of the cores, or a GPU of its own."""

    slots: int
    accelerator: str = "cpu"
    _workers: list[_Worker | None] = field(init=False)

    def __post_init__(self) -> None:
        self._workers = [None] * self.slots
        self._context = multiprocessing.get_context("spawn")  # torch and forks do not go together
        self._gpus = _gpus() if self.accelerator == "cuda" else []

    def start(self, task: Task) -> None:
        """See Backend."""
        number = next(number for number, worker in enumerate(self._workers) if worker is None or worker.task is None)
        worker = self._workers[number]
        if worker is None or not worker.process.is_alive():  # or ended by somebody while it had nothing to do
            worker = self._begin(number)
        worker.task = task
        worker.pipe.send(task)

    def event(self) -> Event:
        """See Backend. A process that ends by itself has failed at its cell."""
        busy = [worker for worker in self._workers if worker is not None and worker.task is not None]
        ready = wait([worker.pipe for worker in busy])
        worker = next(worker for worker in busy if worker.pipe in ready)
        assert worker.task is not None
        try:
            event: Event = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(PATIENCE)
            event = Ended(worker.task.cell.name, f"its process ended with {worker.process.exitcode}")
            worker.pipe.close()
            self._workers[self._workers.index(worker)] = None
        if isinstance(event, Ended):
            worker.task = None
        return event

    def close(self) -> None:
        """See Backend."""
        workers = [worker for worker in self._workers if worker is not None]
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()

    def _begin(self, number: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        gpu = self._gpus[number % len(self._gpus)] if self._gpus else None
        threads = max(1, (os.cpu_count() or 1) // self.slots)
        process = self._context.Process(target=_work, args=(theirs, threads, gpu), daemon=True)
        process.start()
        theirs.close()
        worker = self._workers[number] = _Worker(process, ours)
        return worker


def _gpus() -> list[str]:
    """The GPUs that there are for this process, as CUDA names them. Raises BadInput where there are none."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = [str(number) for number in range(torch.cuda.device_count())]
    if named:
        found = named.split(",")[: len(found)]
    if not found:
        raise BadInput("`accelerator` cuda: this machine, or this torch, has none")
    return found


def _work(pipe: Connection, threads: int, gpu: str | None) -> None:
    """What a process does: a cell after the other, until it is asked to end, or the process that began it is gone."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all: who began this one asks it to end
    signal.signal(signal.SIGTERM, _asked)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), threads))
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        while True:
            task: Task = pipe.recv()
            pipe.send(attempted(task, partial(_say, pipe, task.cell.name)))


def _say(pipe: Connection, name: str, done: int, total: int, text: str) -> None:
    pipe.send(Said(name, str(text)))


def _asked(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what clears up is not ended half-way
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class Ray:
    """As tasks of a Ray cluster: that of RAY_ADDRESS, or one on this machine. All its machines see the folder.

    Raises BadInput where ray is not installed.
    """

    def __init__(self, accelerator: str = "cpu"):
        try:
            import ray
            from ray.util.queue import Queue
        except ImportError as error:
            raise BadInput('`ray` is not installed here: pip install "falcon-edge[ray]"') from error
        self._ray = ray
        # Its sockets have long names, so that its folder must have a short one.
        self._scratch = None if "RAY_ADDRESS" in os.environ else tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        own = {} if self._scratch is None else {"_temp_dir": self._scratch, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level="error", **own)
        wants = {"num_gpus": 1} if accelerator == "cuda" else {"num_cpus": 1}
        known = ray.cluster_resources()
        self.slots = int(known.get("GPU" if accelerator == "cuda" else "CPU", 0))
        if not self.slots:
            raise BadInput(f"`ray`: the cluster has nothing that makes cells with `accelerator` {accelerator}")
        self._queue = Queue(actor_options={"num_cpus": 0})
        self._run = ray.remote(max_retries=0, **wants)(_ray_work)
        self._running: dict[Any, Task] = {}
        self._heard: Iterator[Event] = iter(())

    def start(self, task: Task) -> None:
        """See Backend."""
        self._running[self._run.remote(task, self._queue)] = task

    def event(self) -> Event:
        """See Backend."""
        while True:
            for event in self._heard:
                return event
            ended, _ = self._ray.wait([*self._running], timeout=POLL)
            self._heard = iter([*self._said(), *(self._came_of(each) for each in ended)])

    def close(self) -> None:
        """See Backend."""
        for each in self._running:
            self._ray.cancel(each, force=True)
        self._ray.shutdown()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _said(self) -> Iterator[Said]:
        yield from self._queue.get_nowait_batch(self._queue.qsize())

    def _came_of(self, reference: Any) -> Ended:
        task = self._running.pop(reference)
        try:
            ended: Ended = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return Ended(task.cell.name, f"its task ended: {str(error).strip().splitlines()[-1]}")
        return ended


def _ray_work(task: Task, queue: Any) -> Ended:
    """What a task of Ray does."""
    import torch

    torch.set_num_threads(1)
    return attempted(task, lambda done, total, text: queue.put(Said(task.cell.name, str(text))))
