"""`gdrun compare RUN…`: saved runs side by side, whatever trained them; nothing is trained."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.text import Text

from gdrun.cli.options import CompareOptions
from gdrun.config.read import load_config
from gdrun.config.schema import PlotConfig
from gdrun.errors import ConfigError, excerpt
from gdrun.results.compare import BEST_RATES, Comparison, compare_results, legible
from gdrun.results.file_names import COMPARED
from gdrun.results.history import KEPT_ROWS
from gdrun.results.run import SCHEMA_VERSION, RunResult
from gdrun.storage.atomic import output_errors, replacing
from gdrun.storage.comparable import machine_differences, problem_differences
from gdrun.storage.locate import OUTPUTS, find_run
from gdrun.storage.reader import read_result
from gdrun.storage.run_dir import make_directory, now, plan_directory, to_json
from gdrun.storage.saved_run import SavedRun, open_saved
from gdrun.terminal.console import console, table_console, write
from gdrun.terminal.tables import result_notes, result_table, results_as_json, written
from gdrun.text import visible

MIXED = "different problems: their losses can't be compared"


@dataclass(frozen=True)
class _Picked:
    """A run that was named, by itself or with its group."""

    stored: SavedRun
    group: Path | None


def compare_saved(options: CompareOptions, command_line: str) -> None:
    """Lay saved runs side by side: a table, and a new directory with a picture and a record.

    Results go to stdout, remarks to stderr.

    Raises:
        ConfigError: a run isn't there, runs are of different problems, or training was asked for.
        DataError: a file of a run is damaged.
        OutputError: something can't be read or written.
    """
    plot = _plot_config(options)
    output_dir = options.output_dir or OUTPUTS
    picked = _pick(options.runs or [], output_dir)
    results, remarks = [], []
    for name, run in zip(_names(picked), picked, strict=True):
        result = read_result(run.stored, KEPT_ROWS, name)
        if result:
            results.append((run.stored, result))
        else:
            remarks.append(f"{run.stored.path}: has logged no row yet, and is left out")
    if not results:
        raise ConfigError(["none of the runs has logged a row yet"])
    stored = {result.series.name: run for run, result in results}
    with output_errors(None, "read"):
        differing = problem_differences(stored)
    if differing and not options.force:
        raise ConfigError(
            ["the runs are of different problems, so their losses can't be compared", *differing],
            "--force draws them together all the same",
        )
    remarks += [f"different problems: {line}" for line in differing]
    elsewhere = machine_differences(stored)
    if elsewhere:
        remarks.append(f"times are not comparable: {'; '.join(elsewhere)}")
    planned = plan_directory(output_dir, options.name, "compared")
    everything = [result for _, result in results]
    found, reduced = legible(everything)
    if reduced:
        remarks.append(BEST_RATES)
    messages = console(stderr=True)
    if not options.quiet:
        for remark in remarks:
            messages.print(Text(f"note: {visible(remark)}", "yellow"), soft_wrap=True)
    if options.dry_run:
        _print_plan(options, planned, stored)
        return
    directory = make_directory(planned, exact=options.name is not None)
    drawn = []
    if plot.enabled:
        from gdrun.plots.figures import Picture, compare_figure

        notes = [MIXED] if differing else []
        if elsewhere:
            notes.append("times are not comparable")

        def draw() -> Any:
            return compare_figure(found, note="; ".join(notes), mixed=True)

        path = directory / f"compare.{plot.format}"
        with output_errors(path, "written"):
            Picture(path, draw).save(plot.dpi)
        drawn.append(path)
    comparison = compare_results(found, -math.inf if differing else None)
    if differing:  # then there is no target that all could come to
        comparison = replace(comparison, target=None)
    _write_record(directory, command_line, comparison, found, remarks)
    notes = list(result_notes(comparison, everything))[1 if differing else 0 :]
    _print(options, directory, comparison, found, drawn, remarks, notes)


def _print_plan(options: CompareOptions, planned: Path, stored: Mapping[str, SavedRun]) -> None:
    """What `--dry-run` shows: the runs by their names, and where the picture would go."""
    if options.json:
        runs = [{"name": name, "directory": str(run.path)} for name, run in stored.items()]
        write(to_json({"schema": SCHEMA_VERSION, "directory": str(planned), "runs": runs}))
        return
    lines = [f"{name}: {run.path}" for name, run in stored.items()]
    write("".join(f"{visible(line)}\n" for line in [*lines, f"would be written to {planned}"]))


def _print(
    options: CompareOptions,
    directory: Path,
    comparison: Comparison,
    results: Sequence[RunResult],
    drawn: Sequence[Path],
    remarks: Sequence[str],
    notes: Sequence[str],
) -> None:
    if options.json:
        content = results_as_json(directory, "done", comparison, results, drawn, interrupted=False)
        write(to_json({**content, "notes": remarks}))
    elif options.quiet:
        write(f"{directory}\n")
    else:
        out = table_console()
        out.print(result_table(comparison, out))
        out.print(*(Text(visible(note), "dim") for note in notes), sep="\n")
        lines = written(directory, [], drawn, [COMPARED])
        out.print(*(Text(visible(line)) for line in lines), sep="\n", soft_wrap=True)


def _write_record(
    directory: Path,
    command_line: str,
    comparison: Comparison,
    results: Sequence[RunResult],
    remarks: Sequence[str],
) -> None:
    """Say beside the picture what it shows."""
    content = {
        "schema": SCHEMA_VERSION,
        "kind": "comparison",
        "command": command_line,
        "made": now(),
        "notes": remarks,
        "runs": [
            {
                "name": result.series.name,
                "directory": str(result.directory and result.directory.absolute()),
                "method": result.series.method,
                "batch_size": result.series.batch_size,
                "status": result.status,
            }
            for result in results
        ],
        "comparison": asdict(comparison),
    }
    with output_errors(directory, "written"), replacing(directory / COMPARED) as partial:
        partial.write_text(to_json(content), encoding="utf-8", errors="backslashreplace")


def _plot_config(options: CompareOptions) -> PlotConfig:
    """How the picture is drawn.

    Raises:
        ConfigError: training was asked for, too.
    """
    asked = {key: flag for key, (flag, _) in options.overrides().items()}
    flags = [*asked.values()]
    if options.config is not None:
        flags.append(f"--config {options.config}")
    if options.resume is not None:
        flags.append(f"--resume {options.resume}")
    settings = options.set or []
    flags += [f"--set {text}" for text in settings if not text.strip().startswith("plot.")]
    if flags:
        raise ConfigError(
            [
                f"{excerpt(flag)}: is for training, and saved runs are only compared"
                for flag in flags
            ],
            "leave it out; or leave the runs out to train and compare all three methods",
        )
    if not options.runs:
        raise ConfigError("--force: is for saved runs, of which none is named")
    return load_config(None, settings).plot


def _pick(names: Sequence[str], output_dir: Path) -> list[_Picked]:
    """The runs that are named, each once: runs themselves, and all of groups.

    Raises:
        GdrunError: one isn't there, or is damaged.
    """
    found: dict[Path, _Picked] = {}
    for name in names:
        path = find_run(name, output_dir)
        with output_errors(path, "read"):
            stored = open_saved(path)
            if stored.is_group and not stored.members:
                raise ConfigError(f"{path}: none of its runs was begun")
            for run in stored.runs:
                group = path if stored.is_group else _group_of(path)
                found.setdefault(run.path.resolve(), _Picked(run, group))
    return list(found.values())


def _group_of(run: Path) -> Path | None:
    """The group that a run lies in, if it does."""
    from gdrun.storage.manifest import root_of

    root = root_of(run)
    return None if root == run else root


def _names(picked: Sequence[_Picked]) -> list[str]:
    """The shortest names that tell all runs apart."""
    choices = [_name_with_group, _path]
    if len({run.group for run in picked}) == 1:
        choices.insert(0, _own_name)
    for choice in choices:
        names = [choice(run) for run in picked]
        if len(set(names)) == len(names):
            return names
    return [str(number) for number, _ in enumerate(picked, 1)]


def _own_name(run: _Picked) -> str:
    return visible(run.stored.path.resolve().name)


def _path(run: _Picked) -> str:
    return visible(os.path.relpath(run.stored.path))


def _name_with_group(run: _Picked) -> str:
    own = _own_name(run)
    return visible(f"{run.group.resolve().name}/{own}") if run.group else own
