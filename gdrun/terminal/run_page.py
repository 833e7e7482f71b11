"""The page that `gdrun show` prints of a saved run: its origin, progress, numbers and curves."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.parts.schedule import schedule_in_words
from gdrun.results.axes import AXES, Cost, ceiling_of, median_curve
from gdrun.results.colors import OTHER_COLORS, run_colors
from gdrun.results.compare import (
    Comparison,
    as_shown,
    at_best_rate,
    compare_results,
    engine_notes,
)
from gdrun.results.run import RunResult
from gdrun.storage.listing import local_time
from gdrun.storage.run_dir import resume_command
from gdrun.storage.saved_run import AnySaved, Saved, SavedComparison
from gdrun.terminal.chart import Curve, chart
from gdrun.terminal.fitting import OneLine
from gdrun.terminal.progress_table import headline
from gdrun.terminal.run_facts import changed_keys, file_lines, origin, progress_of
from gdrun.terminal.run_list import STATUS_STYLES
from gdrun.terminal.sweep_tables import sweep_report
from gdrun.terminal.tables import end_notes, result_notes, result_table
from gdrun.text import rates_in_words, visible

MAX_CHART_WIDTH = 110  # columns of the terminal


def page(
    saved: AnySaved,
    results: Sequence[RunResult],
    sweep: SweepResult | None,
    console: Console,
    *,
    x: Cost,
    whole_config: bool,
) -> Iterator[RenderableType]:
    """The page of a run, group or comparison, part by part, to print with `crop=False`.

    Raises:
        DataError: its config is damaged.
        OSError: a file can't be read.
    """
    if isinstance(saved, SavedComparison):
        yield from _comparison_page(saved, results, console, x=x)
        return
    yield from _head(saved, results)
    yield from _config(saved.config, whole=whole_config)
    yield from (Text(visible(line)) for line in progress_of(saved, results))
    if saved.status in ("interrupted", "failed"):
        resume = resume_command(saved.experiment, saved.path)
        if saved.description.is_given:
            yield Text("can't be resumed, as its rows were given from Python")
        else:
            yield OneLine(Text(visible(f"to resume: {resume}")))
    if not results:
        yield Text("no row is logged yet", "yellow")
    else:
        yield from _numbers(saved, results, sweep, console)
        yield Text()
        yield Text("train loss", "bold")
        yield from _chart(results, x, console)
    yield Text()
    yield from (Text(line) for line in file_lines(saved))


def _comparison_page(
    saved: SavedComparison, results: Sequence[RunResult], console: Console, *, x: Cost
) -> Iterator[RenderableType]:
    """The page of a comparison: its numbers when it was made, its curves today."""
    manifest, comparison = saved.manifest, saved.manifest.comparison
    yield OneLine(Text.assemble((visible(str(saved.path)), "bold"), "  comparison of saved runs"))
    if manifest.command:
        yield OneLine(Text.assemble(("command  ", "dim"), visible(manifest.command)))
    if manifest.made:
        yield Text.assemble(("made     ", "dim"), str(local_time(manifest.made)))
    for run in saved.missing:
        gone = f"{run.name}: is no longer at {run.directory}"
        yield OneLine(Text.assemble(("missing  ", "dim"), visible(gone)))
    yield from (Text(f"note: {visible(note)}", "yellow") for note in manifest.notes)
    yield Text()
    yield result_table(comparison, console)
    notes = end_notes(results) if saved.missing else result_notes(comparison, results, mixed=True)
    yield from (Text(visible(note), "dim") for note in notes)
    if results and not saved.missing and _was_changed(comparison, results):
        again = shlex.join(["gdrun", "plot", str(saved.path)])
        yield Text("its runs were trained further since; to draw it again:", "yellow")
        yield OneLine(Text(f"  {visible(again)}"))
    if results:
        yield Text()
        yield Text("train loss", "bold")
        yield from _chart(results, x, console)
    yield Text()
    yield from (Text(line) for line in file_lines(saved))


def _was_changed(comparison: Comparison, results: Sequence[RunResult]) -> bool:
    """Whether runs have taken other numbers of updates than when they were compared."""
    then = {(row.name, row.lr): row.updates for row in comparison.rows}
    now = {(row.name, row.lr): row.updates for row in compare_results(results).rows}
    return any(now.get(key, updates) != updates for key, updates in then.items())


def _head(saved: Saved, results: Sequence[RunResult]) -> Iterator[RenderableType]:
    """What the run is, and where it comes from."""
    title = Text.assemble(
        (visible(str(saved.path)), "bold"),
        "  ",
        (saved.experiment, ""),
        "  ",
        (saved.status, STATUS_STYLES[saved.status]),
    )
    yield OneLine(title)
    rates = list(dict.fromkeys(lr for result in results for lr in result.series.lrs))
    schedule = schedule_in_words(saved.settings.schedule)
    yield headline(saved.description, rates_in_words(rates, schedule))
    for fact, text in origin(saved):
        line = Text.assemble((f"{fact:<8} ", "dim"), visible(text))
        yield OneLine(line) if fact == "command" else line


def _config(config: Mapping[str, Any], *, whole: bool) -> Iterator[Text]:
    """The config as YAML, or the keys that differ from the defaults on one line."""
    if whole:
        import yaml

        lines = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).splitlines()
        yield Text("config", "dim")
        yield Text("\n".join(f"  {visible(line)}" for line in lines))
        return
    changed = ", ".join(f"{key} {value}" for key, value in changed_keys(config))
    yield Text.assemble(
        ("config   ", "dim"), visible(changed) or "the defaults", ("  (-c: all of it)", "dim")
    )


def _numbers(
    saved: Saved, results: Sequence[RunResult], sweep: SweepResult | None, console: Console
) -> Iterator[RenderableType]:
    """The tables of the results, and what to know about them."""
    yield Text()
    notes = [*engine_notes(results)]
    if sweep:
        yield from sweep_report(sweep, saved.path, console)
    else:
        given = saved.settings.sweep.target
        comparison = as_shown(compare_results(results, given), given)
        yield result_table(comparison, console)
        notes = [*result_notes(comparison, results), *notes]
    yield from (Text(visible(note), "dim") for note in notes)


def _chart(results: Sequence[RunResult], x: Cost, console: Console) -> Iterator[Text]:
    """The median train losses: of one run by learning rate, of several runs at their best rates."""
    ceiling = ceiling_of(results)
    color_of = run_colors([result.series for result in results])
    curves = []
    for result in results:
        lrs = (at_best_rate(result) if len(results) > 1 else result).series.lrs
        for k, lr in enumerate(lrs):
            name, color = result.series.name, color_of[result.series.name]
            if len(result.series.lrs) > 1:
                name = f"{name}, lr {lr:g}"
            if len(lrs) > 1:
                color = OTHER_COLORS[k % len(OTHER_COLORS)]
            curves.append(Curve(name, color, *median_curve(result, lr, x, ceiling)))
    yield from chart(
        curves,
        AXES[x].title,
        min(console.width, MAX_CHART_WIDTH),
        show_x=AXES[x].show,
        encoding=console.encoding,
        colored=console.color_system is not None and not console.no_color,
    )
