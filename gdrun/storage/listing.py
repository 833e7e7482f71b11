"""The runs and groups of an output directory, one entry of facts for each; selected and sorted."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gdrun.config.explain import config_keys
from gdrun.config.identity import flatten
from gdrun.config.parts.kinds import KINDS, as_mappings
from gdrun.config.parts.optimizer import name_of
from gdrun.errors import DataError, GdrunError, OutputError
from gdrun.results.lanes import medians, metric_medians
from gdrun.results.run import LaneResult, finite, or_inf
from gdrun.storage.filters import Kind, Predicate, Value, unknown_key
from gdrun.storage.locate import last_changed_first, run_directories, started_at
from gdrun.storage.reader import latest_lanes
from gdrun.storage.saved_run import AnySaved, Saved, SavedComparison, SavedGroup, SavedRun, open_any

# The plain keys of an entry and the kinds of their values; the keys of a config come beside them.
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
    "best_val_loss": "number",
    "train_accuracy": "number",
    "val_accuracy": "number",
    "epochs": "number",
    "updates": "number",
    "samples": "number",
    "seconds": "number",
    "data": "text",
    "rows": "number",
    "network": "text",
}
# Those with a list of values in JSON: a group has runs of several methods and batch sizes.
SEVERAL = ("method", "batch_size", "lr")
ACCURACIES = ("train_accuracy", "val_accuracy")  # of runs that learn classes
BROKEN = "broken"


@dataclass(frozen=True)
class Entry:
    """What the list says of a run or group.

    Attributes:
        name: of the run or group; `GROUP/RUN` for a run of a group.
        facts: the values of each plain key: none, one or several.
        saved: the run, group or comparison itself; None if it is broken.
        problem: why it is broken.
    """

    name: str
    facts: Mapping[str, Sequence[Value]]
    saved: AnySaved | None
    problem: str | None = None

    def values(self, key: str) -> Sequence[Value]:
        """The values of a plain key, or of a dotted key of the config.

        Raises:
            GdrunError: the config is damaged or can't be read.
        """
        if key in KEYS or not isinstance(self.saved, SavedRun | SavedGroup):
            return self.facts.get(key, ())
        try:
            config = self.saved.config
            known = flatten(as_mappings(config))
            kinds = KINDS.get(key)  # whose name stands for them
            found = known.get(f"{key}.{kinds.key}" if kinds else key)
            if key == "optimizer":  # those of a sweep of several; of an older run, the usual one
                swept = config.get("sweep", {}).get(key)
                found = [name_of(each) for each in swept] if isinstance(swept, list) else found
                found = found or "sgd"
        except OSError as error:
            raise OutputError(f"{error.filename}: can't be read: {error.strerror}") from None
        values = found if isinstance(found, list) else [found]
        return [_plain(value) for value in values if value is not None]


def list_entries(
    output_dir: Path,
    *,
    opened: bool = False,
    where: Predicate | None = None,
    newest: int | None = None,
) -> list[Entry]:
    """The runs and groups of an output directory, the latest first.

    Args:
        output_dir: the directory.
        opened: whether each run of a group has an entry of its own, instead of the group.
        where: as in `select`.
        newest: how many entries that `where` keeps are needed, the latest: runs that were started
            earlier may be missing. None needs all.

    Returns:
        The entries; that of a broken run says why.

    Raises:
        ConfigError: there is no such directory.
        OutputError: it can't be read.
    """
    found: list[tuple[float, str, list[Entry]]] = []
    latest: list[float] = []  # when the newest were started, the earliest of them first
    paths = run_directories(output_dir)
    for changed, path in last_changed_first(paths) if newest else [(0.0, path) for path in paths]:
        if newest and len(latest) == newest and changed < latest[0]:
            break
        started, entries = _entries(path, opened)
        found.append((started, path.name, entries))
        if newest:
            kept = [entry for entry in entries if _is_kept(entry, where)]
            latest = sorted([*latest, *[started] * len(kept)])[-newest:]
    # Runs started at the same time, or at an unknown one, are in the order of their names.
    found.sort(key=lambda triple: (-triple[0], triple[1]))
    return [entry for _, _, entries in found for entry in entries]


def kind_of(flag: str) -> Callable[[str], Kind]:
    """A function that gives the kind of a key that a flag names, and raises if there is none."""

    def find(key: str) -> Kind:
        if key in KEYS:
            return KEYS[key]
        if key not in config_keys():
            raise unknown_key(flag, key, list(KEYS))
        return "any"

    return find


def select(
    entries: Iterable[Entry], where: Predicate | None, sort: str | None, limit: int | None
) -> list[Entry]:
    """Filter and sort entries.

    Args:
        entries: all of them.
        where: keeps the entries for which it is true, and those whose config turns out broken; None
            keeps all.
        sort: the key to sort by; `-KEY` is largest first. Entries without a value come last.
        limit: how many to keep; None keeps all.

    Raises:
        ConfigError: the key is unknown, or a comparison makes no sense.
    """
    if sort:
        kind_of("--sort")(sort.removeprefix("-"))
    key, descending = (sort or "").removeprefix("-"), (sort or "").startswith("-")
    pairs: list[tuple[Sequence[Value], Entry]] = []
    for entry in entries:
        try:
            if where is None or (entry.saved and where(entry.values)):
                pairs.append((entry.values(key) if key else (), entry))
        except (DataError, OutputError) as error:
            pairs.append(((), _broken(entry.name, " ".join(error.problems))))
    chosen = [entry for _, entry in pairs]
    if sort:
        pick = max if descending else min
        known = [(pick(map(_rank, values)), entry) for values, entry in pairs if values]
        known.sort(key=lambda pair: pair[0], reverse=descending)
        chosen = [entry for _, entry in known] + [entry for values, entry in pairs if not values]
    return chosen[:limit]


def _is_kept(entry: Entry, where: Predicate | None) -> bool:
    """Whether `select` keeps an entry: one whose config turns out broken, too."""
    try:
        return where is None or (entry.saved is not None and where(entry.values))
    except (DataError, OutputError):
        return True


def as_json(entry: Entry, output_dir: Path) -> dict[str, Any]:
    """An entry for programs: a list for a key that may have several values, else one or null."""
    return {
        "path": str(output_dir / entry.name),
        **{
            key: list(entry.facts.get(key, ()))
            if key in SEVERAL
            else next(iter(entry.facts.get(key, ())), None)
            for key in KEYS
        },
        # As in run.json; the facts have it in local time.
        "started": entry.saved and _started(entry.saved.manifest.content),
        **({"problem": entry.problem} if entry.problem else {}),
    }


def _started(content: Mapping[str, Any]) -> Any:
    """When a run was started, or a comparison made."""
    return content.get("started") or content.get("made")


def _entries(path: Path, opened: bool) -> tuple[float, list[Entry]]:
    """When a run or group was started (-inf if unknown), and its entries."""
    try:
        saved = open_any(path)
        if isinstance(saved, SavedComparison):
            return started_at(saved.manifest), [_comparison_entry(saved)]
        command, started = saved.experiment, started_at(saved.manifest)
        if opened and saved.members:
            runs = [(run, f"{path.name}/{run.path.name}") for run in saved.members]
            return started, [_entry(run, name, command) for run, name in runs]
        return started, [_entry(saved, path.name, command)]
    except GdrunError as error:
        problem = " ".join(error.problems)
    except OSError as error:
        problem = f"{error.filename or path}: can't be read: {error.strerror}"
    return -math.inf, [_broken(path.name, problem)]


def _broken(name: str, problem: str) -> Entry:
    return Entry(name, {"name": [name], "status": [BROKEN]}, None, problem)


def _entry(saved: Saved, name: str, command: str) -> Entry:
    lanes = [latest_lanes(run) for run in saved.runs]
    every = [lane for of_run in lanes for lane in of_run]
    # The lane of each run that was trained for longest: the others diverged.
    longest = [max(of_run, key=lambda lane: lane.updates) for of_run in lanes if of_run]
    description = saved.description
    facts: dict[str, Sequence[Value | None]] = {
        "name": [name],
        "kind": [saved.manifest.kind],
        "command": [command],
        "method": list(dict.fromkeys(run.manifest.method for run in saved.runs)),
        "status": [saved.status],
        "started": [local_time(saved.manifest.started)],
        "batch_size": sorted({run.manifest.batch_size for run in saved.runs}),
        "lr": sorted({lane.lr for lane in every}),
        "seeds": [len({lane.seed for lane in every}) or None],
        **{loss: [value] for loss, value in best_losses(lanes).items()},
        "epochs": [max((lane.epochs for lane in every), default=None)],
        "updates": [sum(lane.updates for lane in longest) if longest else None],
        "samples": [sum(lane.samples for lane in longest) if longest else None],
        "seconds": [sum(lane.seconds for lane in longest) if longest else None],
        "data": [description.data],
        "rows": [description.rows],
        "network": [description.network],
    }
    return Entry(name, _known(facts), saved)


def _comparison_entry(saved: SavedComparison) -> Entry:
    """The entry of a comparison, as it was when it was made: its runs may be gone."""
    rows = saved.manifest.comparison.rows
    best = min(rows, key=lambda row: (or_inf(row.val_loss), or_inf(row.train_loss)))
    facts: dict[str, Sequence[Value | None]] = {
        "name": [saved.path.name],
        "kind": [saved.manifest.kind],
        "command": [saved.experiment],
        "method": list(dict.fromkeys(row.method for row in rows)),
        "status": [saved.status],
        "started": [local_time(saved.manifest.made)],
        "batch_size": sorted({row.batch_size for row in rows}),
        "lr": sorted({row.lr for row in rows}),
        "seeds": [max(row.seeds for row in rows)],
        "train_loss": [best.train_loss],
        "best_train_loss": [best.best_train_loss],
        "val_loss": [best.val_loss],
        "best_val_loss": [best.best_val_loss],
        **{name: [best.metrics.get(name)] for name in ACCURACIES},
    }
    return Entry(saved.path.name, _known(facts), saved)


def _known(facts: Mapping[str, Sequence[Value | None]]) -> dict[str, Sequence[Value]]:
    """The facts without the values that are missing."""
    return {key: [value for value in own if value is not None] for key, own in facts.items()}


def best_losses(runs: Sequence[Sequence[LaneResult]]) -> dict[str, float | None]:
    """The losses and accuracies of the best run at its best learning rate: medians over seeds.

    The best has the lowest validation loss or, without validation rows, train loss; a lane that
    diverged counts as infinite. All are those of one training: the best value of each by itself
    would belong to none.
    """
    names = ("val_loss", "train_loss", "best_train_loss", "best_val_loss")
    pairs = [
        tuple(by_rate[lr] for by_rate in found)
        for lanes in runs
        for found in [
            [
                *(medians(lanes, name) for name in names),
                *(metric_medians(lanes, name) for name in ACCURACIES),
            ]
        ]
        for lr in found[0]
    ]
    every = (*names, *ACCURACIES)
    best = min(pairs, default=(math.inf,) * len(every))
    return {name: finite(value) for name, value in zip(every, best, strict=True)}


def local_time(time: datetime | None) -> str | None:
    """A local time to the second, as far as it is known."""
    return None if time is None else f"{time:%Y-%m-%d %H:%M:%S}"


def _plain(value: object) -> Value:
    """A value of a config as an expression writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, float | int | str) else str(value)


def _rank(value: Value) -> tuple[bool, Value]:
    """Sorts numbers before texts."""
    return isinstance(value, str), value
