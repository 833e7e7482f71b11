"""What there is in an output directory: a line of facts a run or group, to be picked and sorted."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gdrun.config.identity import flatten
from gdrun.errors import GdrunError, OutputError
from gdrun.results.compare import medians
from gdrun.results.history import KEPT_ROWS
from gdrun.results.run import LaneResult, finite
from gdrun.storage.locate import run_directories
from gdrun.storage.reader import describe, read_result, saved_lanes
from gdrun.storage.saved_run import SavedRun, open_saved
from gdrun.storage.where import Kind, Predicate, Value, unknown_key

# The plain keys of a run, and what their values are; those of a config come beside them.
KEYS: Mapping[str, Kind] = {
    "name": "text",
    "kind": "text",
    "command": "text",
    "method": "text",
    "status": "text",
    "started": "date",
    "batch_size": "number",
    "lr": "number",
    "seeds": "number",
    "train_loss": "number",
    "best_train_loss": "number",
    "val_loss": "number",
    "epochs": "number",
    "updates": "number",
    "samples": "number",
    "seconds": "number",
    "data": "text",
    "rows": "number",
    "network": "text",
}
BROKEN = "broken"


@dataclass(frozen=True)
class Entry:
    """A line of the list.

    Attributes:
        name: of the run or group; `GROUP/RUN` for a run of a group.
        facts: by plain key, none, one or several values.
        stored: where the config comes from; None of what is broken.
        problem: what is broken.
    """

    name: str
    facts: Mapping[str, Sequence[Value]]
    stored: SavedRun | None
    problem: str | None = None

    def values(self, key: str) -> Sequence[Value]:
        """The values of a plain key, or of a dotted key of the config.

        Raises:
            GdrunError: the config is damaged, or can't be read.
        """
        if key in KEYS or self.stored is None:
            return self.facts.get(key, ())
        try:
            found = flatten(self.stored.config).get(key)
        except OSError as error:
            raise OutputError(f"{error.filename}: can't be read: {error.strerror}") from None
        several = found if isinstance(found, list) else [found]
        return [_plain(value) for value in several if value is not None]


def list_entries(output_dir: Path, *, opened: bool = False) -> list[Entry]:
    """The runs and groups of an output directory, or all runs one by one; the latest first.

    What is broken is an entry that says why.

    Raises:
        ConfigError, OutputError: there is no such directory, or it can't be read.
    """
    found = [_entries(path, opened) for path in run_directories(output_dir)]
    # What was started at the same time, or isn't known when, stays in the order of its name.
    found.sort(key=lambda pair: pair[0], reverse=True)
    return [entry for _, entries in found for entry in entries]


def kind_of(flag: str) -> Callable[[str], Kind]:
    """What the values of a key are that a flag names; `unknown_key` of those that aren't keys."""

    def find(key: str) -> Kind:
        if key in KEYS:
            return KEYS[key]
        if key not in _config_keys():
            raise unknown_key(flag, key, list(KEYS))
        return "any"

    return find


def select(
    entries: Iterable[Entry], where: Predicate | None, sort: str | None, limit: int | None
) -> list[Entry]:
    """The entries that a predicate is true of, sorted by a key (`-KEY`: largest first), so many.

    What is broken is left out where there is a predicate; what has no value of the key comes last.

    Raises:
        GdrunError: the key is unknown, or a config is damaged.
    """
    if sort:
        kind_of("--sort")(sort.removeprefix("-"))
    chosen = [entry for entry in entries if where is None or (entry.stored and where(entry.values))]
    if sort:
        key, descending = sort.removeprefix("-"), sort.startswith("-")
        pairs = [(entry.values(key), entry) for entry in chosen]
        pick = max if descending else min
        known = [(pick(map(_rank, values)), entry) for values, entry in pairs if values]
        known.sort(key=lambda pair: pair[0], reverse=descending)
        chosen = [entry for _, entry in known] + [entry for values, entry in pairs if not values]
    return chosen[:limit]


def as_json(entry: Entry, output_dir: Path) -> dict[str, Any]:
    """An entry for programs: what a run has one of as it is or null, what it may have more of."""
    several = ("method", "batch_size", "lr")
    return {
        "path": str(output_dir / entry.name),
        **{
            key: list(values) if key in several else next(iter(values), None)
            for key in KEYS
            for values in [entry.facts.get(key, ())]
        },
        # Facts have the time as people read it.
        "started": entry.stored and entry.stored.manifest.get("started"),
        **({"problem": entry.problem} if entry.problem else {}),
    }


def _entries(path: Path, opened: bool) -> tuple[str, list[Entry]]:
    """When a run or group was started, and its lines."""
    try:
        stored = open_saved(path)
        command, started = stored.experiment, local_time(stored) or ""
        if opened and stored.members:
            runs = [(run, f"{path.name}/{run.path.name}") for run in stored.members]
            return started, [_entry(run, name, command) for run, name in runs]
        return started, [_entry(stored, path.name, command)]
    except GdrunError as error:
        problem = " ".join(error.problems)
    except OSError as error:
        problem = f"{error.filename or path}: can't be read: {error.strerror}"
    return "", [_broken(path.name, problem)]


def _broken(name: str, problem: str) -> Entry:
    return Entry(name, {"name": [name], "status": [BROKEN]}, None, problem)


def _entry(stored: SavedRun, name: str, command: str) -> Entry:
    lanes = [_lanes(run) for run in stored.runs]
    every = [lane for of_run in lanes for lane in of_run]
    description = describe(stored)
    ends = [_furthest(of_run) for of_run in lanes if of_run]
    facts: dict[str, Sequence[Value | None]] = {
        "name": [name],
        "kind": ["group" if stored.is_group else "run"],
        "command": [command],
        "method": list(dict.fromkeys(run.text("method") for run in stored.runs)),
        "status": [stored.status],
        "started": [local_time(stored)],
        "batch_size": sorted({run.manifest["batch_size"] for run in stored.runs}),
        "lr": sorted({lane.lr for lane in every}),
        "seeds": [len({lane.seed for lane in every}) or None],
        **{loss: [value] for loss, value in best_losses(lanes).items()},
        "epochs": [max((lane.epochs for lane in every), default=None)],
        "updates": [sum(lane.updates for lane in ends) if ends else None],
        "samples": [sum(lane.samples for lane in ends) if ends else None],
        "seconds": [sum(lane.seconds for lane in ends) if ends else None],
        "data": [description.data],
        "rows": [description.rows],
        "network": [description.network],
    }
    known = {key: [value for value in values if value is not None] for key, values in facts.items()}
    return Entry(name, known, stored)


def _lanes(run: SavedRun) -> Sequence[LaneResult]:
    """How the lanes of a run ended or, if it hasn't, how far they are."""
    lanes = saved_lanes(run)
    if lanes:
        return lanes
    result = read_result(run, KEPT_ROWS, exact=False)  # steps.csv may be large
    return result.lanes if result else ()


def best_losses(runs: Sequence[Sequence[LaneResult]]) -> dict[str, float | None]:
    """The losses of one of the runs at one learning rate: medians over seeds, diverged is infinite.

    It is that with the lowest validation loss or, where there is none, train loss: the lowest of
    each would be those of a training that nobody did.
    """
    names = ("val_loss", "train_loss", "best_train_loss")
    pairs = [
        tuple(by_rate[lr] for by_rate in found)
        for lanes in runs
        for found in [[medians(lanes, name) for name in names]]
        for lr in found[0]
    ]
    best = min(pairs, default=(math.inf,) * len(names))
    return {name: finite(loss) for name, loss in zip(names, best, strict=True)}


def _furthest(lanes: Sequence[LaneResult]) -> LaneResult:
    """The lane of a run that went on for longest: lanes end early where they diverge."""
    return max(lanes, key=lambda lane: lane.updates)


def local_time(stored: SavedRun, key: str = "started") -> str | None:
    """When a run was started or finished, in local time, to the second; None if that isn't known.

    Raises:
        DataError: its `run.json` is damaged.
    """
    if stored.manifest.get(key) is None:
        return None
    try:
        return f"{datetime.fromisoformat(stored.text(key)).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        raise stored.damaged(f"{key} is no time") from None


def _config_keys() -> set[str]:
    """All dotted keys of configs, whatever their data."""
    from gdrun.config.schema import DATA_SOURCES, PlotConfig, RunConfig, SweepConfig

    keys = {*RunConfig.model_fields} - {"data", "sweep", "plot"}
    keys |= {f"data.{key}" for source in DATA_SOURCES.values() for key in source.model_fields}
    keys |= {f"sweep.{key}" for key in SweepConfig.model_fields}
    return keys | {f"plot.{key}" for key in PlotConfig.model_fields}


def _plain(value: object) -> Value:
    """A value of a config as an expression writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, float | int | str) else str(value)


def _rank(value: Value) -> tuple[bool, Value]:
    """Sorts numbers before text."""
    return isinstance(value, str), value
