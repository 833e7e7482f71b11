"""The picture and the record of a comparison of saved runs, made, and made again."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from gdrun.cli.drawing import drawing
from gdrun.config.parts.groups import PlotConfig
from gdrun.errors import ConfigError
from gdrun.results.compare import TIMES_DIFFER, Comparison, as_shown, compare_results, legible
from gdrun.results.file_names import COMPARED
from gdrun.results.run import SCHEMA_VERSION, RunResult
from gdrun.storage.atomic import output_errors, replacing
from gdrun.storage.comparable import machine_differences, problem_differences
from gdrun.storage.manifest import now, to_json
from gdrun.storage.saved_run import SavedComparison, SavedRun

if TYPE_CHECKING:
    from gdrun.plots.pictures import Picture

MIXED = "different problems: their losses can't be compared"


@dataclass(frozen=True)
class Differences:
    """In what runs differ that can't be compared: one line per key."""

    problems: Sequence[str]
    machines: Sequence[str]

    @property
    def remarks(self) -> list[str]:
        """What the user should know of them."""
        times = [f"{TIMES_DIFFER}: {'; '.join(self.machines)}"] if self.machines else []
        return [*(f"different problems: {line}" for line in self.problems), *times]

    @property
    def caption(self) -> str:
        """What the picture says of them."""
        pairs = ((MIXED, self.problems), (TIMES_DIFFER, self.machines))
        return "; ".join(text for text, lines in pairs if lines)


def differences_of(runs: Mapping[str, SavedRun]) -> Differences:
    """In what runs, by name, differ.

    Raises:
        DataError: a file is damaged.
        OutputError: a file can't be read.
    """
    with output_errors(None, "read"):
        return Differences(problem_differences(runs), machine_differences(runs))


def compare(results: Sequence[RunResult], differences: Differences) -> Comparison:
    """The table of the runs; those of different problems have no common target."""
    if not differences.problems:
        return as_shown(compare_results(results), None)
    return replace(compare_results(results, target=-math.inf), target=None)


def draw(
    directory: Path,
    plot: PlotConfig,
    results: Sequence[RunResult],
    differences: Differences,
    messages: Console,
) -> Path:
    """Draw the picture; its path."""
    picture = _picture(directory, plot, results, differences)
    with drawing(picture.path, messages):
        picture.save(plot.dpi)
    return picture.path


def picture_of(saved: SavedComparison, results: Sequence[RunResult], plot: PlotConfig) -> "Picture":
    """The picture of a comparison, as far as its runs are there today.

    Raises:
        DataError: a file is damaged.
        OutputError: a file can't be read.
    """
    shown, _ = legible(results)
    return _picture(saved.path, plot, shown, differences_of(saved.named_runs))


def _picture(
    directory: Path, plot: PlotConfig, results: Sequence[RunResult], differences: Differences
) -> "Picture":
    from gdrun.plots.figures import compare_figure, panels_of
    from gdrun.plots.pictures import Picture

    figure = partial(
        compare_figure, results, note=differences.caption, mixed=True, scale=plot.scale
    )
    return Picture(directory / f"compare.{plot.format}", figure, panels_of(results))


def redraw(
    saved: SavedComparison, results: Sequence[RunResult], plot: PlotConfig, messages: Console
) -> Path:
    """Draw the picture again, as far as the runs are today, and bring the record up to date.

    Raises:
        ConfigError: a run isn't there any more.
        DataError: a file is damaged.
        OutputError: a file can't be read or written.
    """
    if saved.missing:
        raise ConfigError(
            [f"{run.name}: is no longer at {run.directory}" for run in saved.missing],
            "put it back; or compare what is left, which makes a new picture: gdrun compare RUN…",
        )
    differences = differences_of(saved.named_runs)
    shown, _ = legible(results)
    path = draw(saved.path, plot, shown, differences, messages)
    content = {**saved.manifest.content, "notes": differences.remarks}
    write_record(saved.path, content, compare(shown, differences), shown)
    return path


def new_record(command_line: str, remarks: Sequence[str], plot: PlotConfig) -> dict[str, object]:
    """What a record says of a comparison that is made now."""
    return {
        "schema": SCHEMA_VERSION,
        "kind": "comparison",
        "command": command_line,
        "made": now(),
        "notes": remarks,
        "plot": plot.model_dump(mode="json"),
    }


def write_record(
    directory: Path,
    content: Mapping[str, object],
    comparison: Comparison,
    results: Sequence[RunResult],
) -> None:
    """Write what the picture shows into a file beside it."""
    runs = [
        {
            "name": result.series.name,
            "directory": str(place.resolve()),
            "path": os.path.relpath(place.resolve(), directory.resolve()),
            "method": result.series.method,
            "batch_size": result.series.batch_size,
            "status": result.status,
        }
        for result in results
        if (place := result.directory)
    ]
    record = {**content, "runs": runs, "comparison": asdict(comparison)}
    with output_errors(directory, "written"), replacing(directory / COMPARED) as partial_:
        partial_.write_text(to_json(record), encoding="utf-8", errors="backslashreplace")
