"""Runs of a group side by side, each in a process of its own that writes its files itself.

A process asks for a run by sending None and is told the run's name; no name tells it to stop, also
in the middle of a run, as does the end of the parent. Nothing is shared beside these pipes, so that
no process waits for what one that was killed held.
"""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch

from gdrun.config.schema import RunConfig
from gdrun.config.timing import Timing
from gdrun.errors import DataError, OutputError, limit_hints, one_line
from gdrun.experiment.plan import ExperimentPlan, plan_experiment
from gdrun.experiment.resume import load
from gdrun.experiment.signals import SIGNALS
from gdrun.experiment.train_run import failures_as_events, train_run
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.storage.run_dir import locked
from gdrun.training.device import CPU

SEND_SECONDS = 0.1  # between two reports of a run's progress
POLL_SECONDS = 0.1
STOP_SECONDS = 0.4  # for which a process that has reported nothing of its run is waited for


@dataclass(frozen=True)
class _WorkerTask:
    """What a process has to know: the experiment, and where its runs go.

    Attributes:
        growths: the `eval_growth` of each run.
        device: on which they are trained.
    """

    command: str
    config: RunConfig
    directory: Path
    facts: Mapping[str, Any]
    keep_rows: int | None
    timing: Timing
    threads: int
    growths: tuple[float | None, ...]
    device: torch.device = CPU

    @cached_property
    def experiment(self) -> ExperimentPlan:
        """The experiment, planned once per process."""
        planned = plan_experiment(self.command, self.config).with_device(self.device)
        runs = zip(planned.runs, self.growths, strict=True)
        return replace(planned, runs=tuple(run.with_evaluations(each) for run, each in runs))


def train_side_by_side(
    experiment: ExperimentPlan,
    directory: Path,
    facts: Mapping[str, Any],
    stop: Callable[[], bool],
    keep_rows: int | None,
    timing: Timing,
    jobs: int,
) -> Generator[RunProgress | RunResult | Failure]:
    """Train the runs of a group in so many processes: their progress, and their results.

    The first runs are begun first: small batches, which take longest. Arguments as in
    `gdrun.experiment.execute.execute`. A process that dies is a failure of its run.

    Raises:
        OutputError: the system allows no more processes.
    """
    task = _WorkerTask(
        command=experiment.command,
        config=experiment.config,
        directory=directory,
        facts=facts,
        keep_rows=keep_rows,
        timing=timing,
        threads=max(1, torch.get_num_threads() // jobs),
        growths=tuple(run.config.eval_growth for run in experiment.runs),
        device=experiment.problem.data.x.device,
    )
    pool = _Pool(task, [run.name for run in experiment.runs])
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

    def __init__(self, task: _WorkerTask, names: list[str]) -> None:
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


def _work(task: _WorkerTask, connection: Connection) -> None:
    """Train one run after the other as they are assigned, until there are no more."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(task.threads)
    with suppress(EOFError, ConnectionError):  # the parent died
        while True:
            connection.send(None)
            name = connection.recv()
            if not name:
                return
            for message in failures_as_events(name, _train(task, name, connection.poll)):
                connection.send(message)


def _train(
    task: _WorkerTask, name: str, stop: Callable[[], bool]
) -> Iterator[RunProgress | RunResult]:
    """Train one run; its progress is reported no more often than can be seen."""
    facts = {**task.facts, "pid": os.getpid(), "threads": task.threads}
    experiment = task.experiment
    if task.facts.get("data_fingerprint") not in (None, experiment.problem.data.fingerprint):
        raise DataError(
            f"{experiment.description.data}: the data was changed since the command began",
            "put the data back as it was",
        )
    (run,) = (run for run in experiment.runs if run.name == name)
    place = experiment.directory_of(run, task.directory)
    place.mkdir(exist_ok=True)
    with locked(place):  # the group's lock is held by the parent, which may die first
        if stop():  # or be dead by now, and another process train the group
            return
        run = load(run, place, task.keep_rows)
        unsent: RunProgress | None = None
        sent_at = 0.0
        for event in train_run(experiment, run, place, facts, stop, task.keep_rows, task.timing):
            if isinstance(event, RunProgress):
                unsent = event
                if time.monotonic() - sent_at <= SEND_SECONDS:
                    continue
                unsent, sent_at = None, time.monotonic()
            elif unsent:
                yield unsent  # its end, before the result
            yield event
