"""The runs of a group, each trained by the process that is told its name, with its files."""

import os
import platform
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gdrun.config.schema import RunConfig
from gdrun.config.timing import Timing
from gdrun.errors import DataError
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.runs import ExperimentPlan
from gdrun.experiment.resume import load
from gdrun.experiment.train_run import failures_as_events, train_run
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.storage.run_dir import locked
from gdrun.training.device import CPU

SEND_SECONDS = 0.1  # between two reports of a run's progress


@dataclass(frozen=True)
class MemberTask:
    """What a process has to know: the experiment, and where its runs go.

    Attributes:
        command, config: of the experiment.
        directory: of the group.
        facts: what the `run.json` of its runs says of the command and the machine.
        keep_rows, timing: as in `gdrun.experiment.execute.execute`.
        threads: with which a run is trained.
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

    @classmethod
    def of(
        cls,
        experiment: ExperimentPlan,
        directory: Path,
        facts: Mapping[str, Any],
        keep_rows: int | None,
        timing: Timing,
    ) -> "MemberTask":
        """The task of a process that trains runs of an experiment with as many threads as this."""
        return cls(
            command=experiment.command,
            config=experiment.config,
            directory=directory,
            facts=facts,
            keep_rows=keep_rows,
            timing=timing,
            threads=torch.get_num_threads(),
            growths=tuple(run.config.eval_growth for run in experiment.runs),
            device=experiment.problem.data.x.device,
        )

    def plan(self) -> ExperimentPlan:
        """Plan the experiment in a process that knows no more of it, and read its data.

        Raises:
            GdrunError: as in `plan_experiment`.
        """
        planned = plan_experiment(self.command, self.config).with_device(self.device)
        runs = zip(planned.runs, self.growths, strict=True)
        return replace(planned, runs=tuple(run.with_evaluations(each) for run, each in runs))


def train_member(
    task: MemberTask, plan: Callable[[], ExperimentPlan], name: str, stop: Callable[[], bool]
) -> Generator[RunProgress | RunResult | Failure]:
    """Train one run of a group; its progress is reported no more often than can be seen.

    Args:
        task: what this process has to know.
        plan: the experiment, planned once per process: as by `task.plan`.
        name: of the run.
        stop: asked after every segment.
    """
    return failures_as_events(name, _train(task, plan, name, stop))


def _train(
    task: MemberTask, plan: Callable[[], ExperimentPlan], name: str, stop: Callable[[], bool]
) -> Iterator[RunProgress | RunResult]:
    """The same, but for failures.

    Raises:
        GdrunError: the run can't be trained.
        OSError: a file can't be written.
    """
    here = {"pid": os.getpid(), "host": platform.node(), "threads": task.threads}
    facts = {**task.facts, **here}
    experiment = plan()
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
