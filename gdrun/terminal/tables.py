"""Results → what a command prints on stdout: the table of results, the dry run, JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from gdrun.config.schema import RunConfig
from gdrun.results.colors import kind_of, run_colors
from gdrun.results.compare import TARGET_FACTOR, Comparison
from gdrun.results.events import Series, Status
from gdrun.results.file_names import EPOCHS, STEPS
from gdrun.results.progress import RunProgress
from gdrun.results.run import SCHEMA_VERSION, RunResult
from gdrun.text import count, duration, number, span

# Columns in the order in which a narrow terminal goes without them.
EXPENDABLE = (
    "best",
    "seconds_to_target",
    "batch_size",
    "seconds",
    "updates",
    "val_loss",
    "updates_to_target",
)


@dataclass(frozen=True)
class OneLine:
    """A line to be copied, such as a command: printed in one piece, however narrow the terminal.

    To be printed with `crop=False`. A text that says `no_wrap` would not do: Rich joins texts that
    it prints to one that doesn't say so.
    """

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        segments = self.text.render(console, end="\n")
        # Without parts of a style of their own, a text leaves its own style to who prints it.
        yield from Segment.apply_style(segments, console.get_style(self.text.style))


def result_table(comparison: Comparison, console: Console) -> Table:
    """The runs side by side: medians over seeds, and what it took to come to the target.

    Columns are left out, rather than numbers cut, where the console is too narrow.
    """
    rows = comparison.rows
    columns = {
        "batch_size": ("batch", [f"{row.batch_size:,}" for row in rows]),
        "lr": ("lr", [f"{row.lr:g}" for row in rows]),
        "train_loss": (
            "train\nloss",
            [number(row.train_loss, "diverged" if row.diverged else "–") for row in rows],
        ),
        "best": ("best\nloss", [number(row.best_train_loss) for row in rows]),
        "val_loss": ("val.\nloss", [number(row.val_loss) for row in rows]),
        "updates": ("updates", [f"{row.updates:,}" for row in rows]),
        "seconds": ("training\ntime", [duration(row.seconds) for row in rows]),
        "updates_to_target": (
            "updates\nto target",
            [
                "not reached" if row.updates_to_target is None else f"{row.updates_to_target:,.0f}"
                for row in rows
            ],
        ),
        "seconds_to_target": (
            "time\nto target",
            [duration(row.seconds_to_target) for row in rows],
        ),
    }
    if len({row.lr for row in rows}) == 1:
        del columns["lr"]
    if all(row.val_loss is None for row in rows):
        del columns["val_loss"]
    if comparison.target is None:
        del columns["updates_to_target"], columns["seconds_to_target"]
    runs = list(
        {row.name: Series(row.method, row.batch_size, (), row.name) for row in rows}.values()
    )
    colors = run_colors(runs)
    names = [Text(row.name, style=f"bold {colors[row.name]}") for row in rows]
    return fitting_table(kind_of(runs), names, columns, EXPENDABLE, console)


def fitting_table(
    title: str,
    names: Sequence[Text],
    columns: Mapping[str, tuple[str, Sequence[str]]],
    expendable: Sequence[str],
    console: Console,
) -> Table:
    """A table with names in front and, by key, columns with title and cells.

    Columns are left out in the order in which they are expendable until it fits the console.
    """
    left = dict(columns)
    for key in ("", *expendable):
        left.pop(key, None)
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        table.add_column(title, no_wrap=True)
        for head, _ in left.values():
            table.add_column(head, justify="right", no_wrap=True)
        for k, name in enumerate(names):
            table.add_row(name, *(cells[k] for _, cells in left.values()))
        if fits(table, console):
            break
    return table


def fits(table: Table, console: Console) -> bool:
    """Whether the console is wide enough for a table."""
    unbounded = console.options.update(width=10_000)
    return console.measure(table, options=unbounded).maximum <= console.width


def result_notes(comparison: Comparison, results: Sequence[RunResult]) -> Iterable[str]:
    """What one has to know to read the table."""
    if comparison.target is not None:
        percent = round(100 * (TARGET_FACTOR - 1))
        yield (
            f"target: train loss ≤ {number(comparison.target)}, within {percent} % of the "
            f"best final loss {number(comparison.target / TARGET_FACTOR)}"
        )
    else:
        yield "no target: no run came more than 10 % below the untrained loss"
    seeds = [row.seeds for row in comparison.rows]
    if max(seeds) > 1:
        medians = f"medians of {span(seeds)} seeds"
        yield f"losses, and what it took to come to the target, are {medians}"
    lanes = [len(result.lanes) for result in results]
    if max(lanes) > 1:
        many = span(lanes)
        yield f"times are those of all lanes of a run ({many}), which are trained together"
    if any(lane.diverged_at == 0 for result in results for lane in result.lanes):
        yield "the loss is infinite before training: scale the data, or set data.standardize"
        return
    for row in comparison.rows:
        if row.diverged:
            which = f"{row.diverged} of {row.seeds} seeds" if row.seeds > 1 else "the training"
            yield f"{row.name} at lr {row.lr:g}: {which} diverged; try a smaller learning rate"


def plan_lines(directory: Path, tracks: Sequence[RunProgress]) -> Iterable[str]:
    """What would be run, a line a run, and where it would be written."""
    for track in tracks:
        done = f", {track.updates:,} of them done" if track.updates else ""
        updates = count(track.updates_per_epoch, "update")
        yield (
            f"{track.series.name}: batch size {track.series.batch_size:,}, "
            f"{count(len(track.series.lanes), 'lane')}, "
            f"{updates} an epoch, {track.total:,} in all{done}"
        )
    yield f"would be written to {directory}"


def plan_as_json(
    directory: Path, config: RunConfig, tracks: Sequence[RunProgress], seconds: float | None = None
) -> Mapping[str, Any]:
    """What would be run, for programs."""
    return {
        "schema": SCHEMA_VERSION,
        "config": config.model_dump(mode="json"),
        "directory": str(directory),
        **({} if seconds is None else {"estimated_seconds": round(seconds, 3)}),
        "runs": [
            {
                "name": track.series.name,
                "method": track.series.method,
                "batch_size": track.series.batch_size,
                "lanes": len(track.series.lanes),
                "updates_per_epoch": track.updates_per_epoch,
                "updates": track.total,
                "updates_done": track.updates,
            }
            for track in tracks
        ],
    }


def written(
    directory: Path,
    results: Sequence[RunResult],
    drawn: Sequence[Path],
    tables: Sequence[str] = (),
) -> Iterable[str]:
    """The paths of what was written: a line for each directory."""
    yield f"written to {directory}"
    files: dict[Path, list[str]] = {directory: [*tables]}
    for result in results:
        if result.directory:
            files.setdefault(result.directory, []).extend([EPOCHS, STEPS])
    for path in drawn:
        files[path.parent].append(path.name)
    places = {place: "" if place == directory else f"{place.name}/" for place in files}
    width = max(len(place) for place in places.values())
    for place, names in files.items():
        if names:
            yield "  ".join(["", *([f"{places[place]:<{width}}"] if width else []), *names])


def run_as_json(result: RunResult) -> Mapping[str, Any]:
    """The outcome of one run for programs."""
    return {
        "name": result.series.name,
        "method": result.series.method,
        "batch_size": result.series.batch_size,
        "status": result.status,
        "directory": str(result.directory),
        "lanes": [asdict(lane) for lane in result.lanes],
    }


def results_as_json(
    directory: Path,
    status: Status,
    comparison: Comparison,
    results: Sequence[RunResult],
    drawn: Sequence[Path],
    *,
    interrupted: bool,
) -> Mapping[str, Any]:
    """The outcome of a command for programs; `schema` grows when a key changes its meaning.

    `status` is that of the training; `interrupted` also holds where only drawing was cut short.
    """
    return {
        "schema": SCHEMA_VERSION,
        "status": status,
        "interrupted": interrupted,
        "directory": str(directory),
        "comparison": asdict(comparison),
        "runs": [run_as_json(result) for result in results],
        "pictures": [str(path) for path in drawn],
    }
