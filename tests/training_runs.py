"""Short runs: a small config, and a run in a directory that can be stopped and resumed."""

from itertools import count
from pathlib import Path

from gdrun.config import timing as intervals
from gdrun.config.schema import RunConfig
from gdrun.config.timing import Timing
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from gdrun.results.run import RunResult


def small_config(**settings: object) -> RunConfig:
    """The schema's defaults, short."""
    return RunConfig.model_validate({"epochs": 3, **settings})


def run(
    command: str,
    config: RunConfig,
    place: Path,
    stop_after: int | None = None,
    timing: Timing | None = None,
) -> list[RunResult]:
    """Train in a directory, from where it was left if it was; stop after so many segments."""
    place.mkdir(exist_ok=True)
    experiment = plan_experiment(command, config)
    if (place / "run.json").exists():
        experiment = resume_experiment(experiment, place)
    segments = count(1)
    stops = {"now": False}
    results = []
    for event in execute(
        experiment, place, stop=lambda: stops["now"], timing=timing or intervals.DEFAULT
    ):
        if isinstance(event, RunResult):
            results.append(event)
        else:
            stops["now"] = next(segments) == stop_after
    return results
