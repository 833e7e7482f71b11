"""Short runs: a small config, and a run in a directory that can be stopped and resumed."""

from itertools import count
from pathlib import Path

from gdrun.config.schema import RunConfig
from gdrun.experiment.execute import execute, take_up
from gdrun.experiment.plan import prepare
from gdrun.results.run import RunResult


def small_config(**settings: object) -> RunConfig:
    """The schema's defaults, short."""
    return RunConfig.model_validate({"epochs": 3, **settings})


def run(
    command: str, config: RunConfig, place: Path, stop_after: int | None = None
) -> list[RunResult]:
    """Train in a directory, from where it was left if it was; stop after so many segments."""
    place.mkdir(exist_ok=True)
    experiment = prepare(command, config)
    if (place / "run.json").exists():
        experiment = take_up(experiment, place)
    segments = count(1)
    stops = {"now": False}
    results = []
    for event in execute(experiment, place, stop=lambda: stops["now"]):
        if isinstance(event, RunResult):
            results.append(event)
        else:
            stops["now"] = next(segments) == stop_after
    return results
