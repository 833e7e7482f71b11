"""Runs of a group side by side, each in a process of its own that writes its files itself.

A process asks for a run by sending None and is told the run's name; no name tells it to stop, also
in the middle of a run, as does the end of the parent. Nothing is shared beside these pipes, so that
no process waits for what one that was killed held.
"""

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import torch

from gdrun.errors import OutputError, limit_hints, one_line
from gdrun.experiment.members import MemberTask, train_member
from gdrun.experiment.signals import SIGNALS
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult

POLL_SECONDS = 0.1
STOP_SECONDS = 0.4  # for which a process that has reported nothing of its run is waited for


def train_side_by_side(
    task: MemberTask, names: Sequence[str], stop: Callable[[], bool], jobs: int
) -> Generator[RunProgress | RunResult | Failure]:
    """Train runs of a group in so many processes: their progress, and their results.

    The first runs are begun first: small batches, which take longest. A process that dies is a
    failure of its run.

    Args:
        task: what the processes have to know; they share its threads.
        names: of the runs.
        stop: asked several times a second.
        jobs: how many processes.

    Raises:
        OutputError: the system allows no more processes.
    """
    pool = _Pool(replace(task, threads=max(1, task.threads // jobs)), names)
    try:
        pool.start(jobs)
        while pool.processes:
            if stop():
                pool.stop()
            for connection in wait(list(pool.processes), POLL_SECONDS):
                assert isinstance(connection, Connection)
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    failure = pool.remove_dead(connection)
                    if failure:
                        yield failure
                    continue
                if message is None:  # it has nothing to do, or no longer
                    pool.assign(connection)
                else:
                    pool.reporting.add(connection)
                    yield message
    finally:
        pool.kill()


class _Pool:
    """The processes, and what each trains, by the connection to it; and the runs that wait.

    `reporting` are those that have trained a part of their run.
    """

    def __init__(self, task: MemberTask, names: Sequence[str]) -> None:
        self.processes: dict[Connection, SpawnProcess] = {}
        self.reporting: set[Connection] = set()
        self._training: dict[Connection, str] = {}
        self._task = task
        self._waiting = deque(names)
        self._context = multiprocessing.get_context("spawn")
        self._stopped_at: float | None = None

    def start(self, jobs: int) -> None:
        """Start so many processes, but no more than there are runs."""
        for _ in range(min(jobs, len(self._waiting))):
            self._start_one()

    def _start_one(self) -> None:
        """Start a process.

        Raises:
            OutputError: the system allows no more.
        """
        try:
            ours, theirs = self._context.Pipe()
            with closing(theirs):
                process = self._context.Process(target=_work, args=(self._task, theirs))
                with _signals_held_back():
                    process.start()
        except (OSError, RuntimeError) as error:
            raise OutputError(
                f"--jobs: no more processes can be started: {one_line(error)}",
                *limit_hints(error),
                "fewer --jobs need fewer",
            ) from error
        self.processes[ours] = process

    def assign(self, connection: Connection) -> None:
        """Give a process the next run, or tell it that there is none."""
        name = self._training[connection] = self._waiting.popleft() if self._waiting else ""
        self.reporting.discard(connection)
        _tell(connection, name)

    def stop(self) -> None:
        """Tell all processes to stop, and kill those that have nothing to save.

        One that was not given a run yet owns nothing. One that has reported nothing of its run,
        since it still reads its data or logs, loses nothing: it is given a moment to end itself.
        """
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._waiting.clear()
            for connection in self.processes:
                _tell(connection, "")
        waited = time.monotonic() - self._stopped_at
        for connection, process in self.processes.items():
            patience = STOP_SECONDS if connection in self._training else 0.0
            if connection not in self.reporting and waited >= patience:
                process.kill()

    def remove_dead(self, connection: Connection) -> Failure | None:
        """Forget a process that died, and start another if needed; the failure of its run."""
        process = self.processes.pop(connection)
        process.join()
        name = self._training.pop(connection, "")
        if self._waiting and not name:  # one that dies at its start fails a run, too
            name = self._waiting.popleft()
        if self._waiting:
            self._start_one()
        was_ended = self._stopped_at is not None and connection not in self.reporting
        return _death(name, process.exitcode) if name and not was_ended else None

    def kill(self) -> None:
        """End all processes at once."""
        for process in self.processes.values():
            process.kill()
            process.join()


def _tell(connection: Connection, name: str) -> None:
    with suppress(OSError):  # it died meanwhile, which is noticed next
        connection.send(name)


def _death(run: str, code: int | None) -> Failure:
    """The failure of a run whose process died with a code."""
    if code is None or code >= 0:
        return Failure(run, (f"its process ended with code {code}",))
    name = signal.Signals(-code).name
    short = "the system kills what takes too much memory: fewer --jobs take less"
    hints = (short,) if name == "SIGKILL" else ()
    return Failure(run, (f"its process was killed by {name}",), hints)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let a process start without hearing of signals, which are for its parent to act on."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # the first process starts it, and that lets signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(task: MemberTask, connection: Connection) -> None:
    """Train one run after the other as they are assigned, until there are no more."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(task.threads)
    plan = cache(task.plan)
    with suppress(EOFError, ConnectionError):  # the parent died
        while True:
            connection.send(None)
            name = connection.recv()
            if not name:
                return
            for message in train_member(task, plan, name, connection.poll):
                connection.send(message)
