"""Small sweeps: trained, stopped and resumed, and what their files hold."""

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from gdrun.config.schema import RunConfig
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from tests.command_line import NO_PICTURES
from tests.run_files import logs, manifest
from tests.training_runs import small_config

GRID: dict[str, Any] = {"lr": [0.1, 0.3], "batch_size": [4, 16, "full"]}
FLAGS = ("--set", "data.rows=24", "--epochs", "3", "--seeds", "2", *NO_PICTURES)
GRID_FLAGS = ("--lr", "0.1,0.3", "--batch-size", "4,16,full")
SHUFFLED = ("--set", "sampling=reshuffle", "--set", "drop_last=false")
SECONDS = ("seconds", "seconds_to_target")


def sweep_config(**settings: Any) -> RunConfig:
    """A grid of three runs of four lanes."""
    return small_config(**{"seeds": 2, "data": {"rows": 24}, "sweep": GRID, **settings})


def run_sweep(
    config: RunConfig,
    place: Path,
    stop_when: Callable[[Any], bool] = lambda _: False,
    jobs: int = 1,
) -> list[Any]:
    """Sweep in a directory, from where it was left if it was; stop after a certain event."""
    place.mkdir(exist_ok=True)
    experiment = plan_experiment("sweep", config)
    if (place / "run.json").exists():
        experiment = resume_experiment(experiment, place)
    stops = {"now": False}
    events = []
    for event in execute(experiment, place, stop=lambda: stops["now"], jobs=jobs):
        events.append(event)
        stops["now"] |= stop_when(event)
    return events


def nth(number: int) -> Callable[[Any], bool]:
    """Whether an event is the one of this number, from 1."""
    events = count(1)
    return lambda _: next(events) == number


def sweep_rows(place: Path) -> list[dict[str, str]]:
    """The rows of `sweep.csv`, without the seconds."""
    names, *rows = [line.split(",") for line in (place / "sweep.csv").read_text().splitlines()]
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [{key: cell for key, cell in row.items() if key not in SECONDS} for row in found]


def tables(place: Path) -> Mapping[str, Any]:
    """All tables of a sweep, without the seconds."""
    members = {p.name: logs(p) for p in place.iterdir() if (p / "epochs.csv").exists()}
    return {**members, "sweep.csv": sweep_rows(place)}


def statuses(place: Path) -> dict[str, str]:
    found = {path.parent.name: manifest(path.parent)["status"] for path in place.glob("*/run.json")}
    return {"": manifest(place)["status"], **found}
