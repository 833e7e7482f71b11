"""From a command and its config to what is about to be trained: for a terminal, a preview, Python.

The steps are the same for all: plan the runs, resume what an earlier process left, choose how
updates are executed, build programs, measure and estimate how long a sweep takes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gdrun.config.schema import Engine, RunConfig
from gdrun.experiment.engines import (
    BUILD_SECONDS,
    Choice,
    build_programs,
    choose_engines,
    engine_lines,
)
from gdrun.experiment.estimate import estimate_seconds, measure_updates
from gdrun.experiment.plan import ExperimentPlan, plan_experiment
from gdrun.experiment.resume import resume_experiment


@dataclass(frozen=True)
class PreparedCommand:
    """A command that is ready to be executed, or previewed.

    Attributes:
        experiment: what is to be trained.
        engines: how its updates are executed and why, in words.
        estimated_seconds: of a sweep; None of what isn't one, or wasn't estimated.
    """

    experiment: ExperimentPlan
    engines: list[str]
    estimated_seconds: float | None = None


def prepare_command(
    command: str,
    config: RunConfig,
    *,
    resume: Path | None = None,
    keep_rows: int | None = None,
    jobs: int = 1,
    preview: bool = False,
    estimate: bool = True,
    on_progress: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> PreparedCommand:
    """Prepare what a command trains; no file of a run is changed.

    Args:
        command: `compare`, `sweep` or a method.
        config: as requested.
        resume: the directory of a run or group to resume; the caller holds its lock.
        keep_rows: how many rows of each table are kept in memory per lane; None keeps all.
        jobs: how many processes will train the runs of a group side by side.
        preview: build no program and measure no pace of updates; only say what would be done.
        estimate: whether to estimate how long a sweep takes.
        on_progress: called with what is being done.
        stop: asked while programs are built.

    Raises:
        GdrunError: the request or the data is wrong, or the run can't be resumed.
        KeyboardInterrupt: `stop` said so.
    """
    experiment = plan_experiment(command, config, on_progress)
    if resume:
        on_progress("reading what was logged")
        experiment = resume_experiment(experiment, resume, keep_rows)
    chosen = choose_engines(experiment)
    unbuilt: list[Choice] = []
    if preview:
        unbuilt = [choice for choice in chosen.values() if choice.builds]
    else:
        chosen = build_programs(chosen, on_progress, stop)
    engines: dict[str, Engine] = {
        name: "eager" if choice in unbuilt else choice.engine for name, choice in chosen.items()
    }
    experiment, lines = experiment.with_engines(engines), engine_lines(chosen)
    if command != "sweep":
        return PreparedCommand(experiment, lines)
    on_progress("timing a moment of each run")
    if not preview:
        experiment = replace(experiment, seconds_per_update=measure_updates(experiment))
    if not estimate:
        return PreparedCommand(experiment, lines)
    # What has to be built is timed eagerly: a program saves some of that, and takes its time.
    more = sum(BUILD_SECONDS - (choice.saves or 0.0) for choice in unbuilt)
    seconds = max(0.0, estimate_seconds(experiment, jobs) + more)
    return PreparedCommand(experiment, lines, seconds)
