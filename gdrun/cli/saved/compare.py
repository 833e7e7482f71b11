"""`gdrun compare RUN…`: compares saved runs, whichever command trained them; trains nothing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gdrun.cli.group_options import CompareOptions
from gdrun.cli.mistakes import words_hint
from gdrun.cli.saved.record import (
    Differences,
    compare,
    differences_of,
    draw,
    new_record,
    write_record,
)
from gdrun.config.parts.groups import PlotConfig
from gdrun.config.read import load_config
from gdrun.errors import ConfigError, excerpt
from gdrun.results.compare import (
    BEST_RATES,
    Comparison,
    legible,
)
from gdrun.results.file_names import COMPARED
from gdrun.results.rows.history import KEPT_ROWS
from gdrun.results.run import SCHEMA_VERSION, RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import OUTPUTS, find_run
from gdrun.storage.reader import HowToRead, read_result
from gdrun.storage.run_dir import make_directory, plan_directory, root_of
from gdrun.storage.saved_run import SavedComparison, SavedGroup, SavedRun, open_any
from gdrun.terminal.as_json import results_as_json
from gdrun.terminal.console import console, table_console, write, write_json
from gdrun.terminal.live import reading
from gdrun.terminal.tables import end_notes, result_notes, result_table, written
from gdrun.text import visible


@dataclass(frozen=True)
class Selected:
    """A run that the user named, by itself or with its group.

    Attributes:
        run: the run.
        group: the directory of its group, if it has one.
    """

    run: SavedRun
    group: Path | None


def compare_saved(options: CompareOptions, command_line: str) -> None:
    """Compare saved runs: print a table, and make a directory with a picture and a record.

    Results go to stdout, remarks to stderr.

    Raises:
        ConfigError: a run doesn't exist, the runs are of different problems, or an option for
            training was given.
        DataError: a file of a run is damaged.
        OutputError: a file can't be read or written.
    """
    messages = console(stderr=True, quiet=options.quiet)
    with reading(messages) as on_read:  # steps.csv is read when it is drawn
        _compare_saved(options, command_line, messages, HowToRead(KEPT_ROWS, on_read=on_read))


def check_request(options: CompareOptions) -> None:
    """Check the names of the runs, and the options, of a command line that is wrong otherwise.

    Raises:
        ConfigError: as `compare_saved`.
        DataError, OutputError: a run is damaged or can't be read.
    """
    _plot_config(options)
    select(options.runs or [], options.output_dir or OUTPUTS)


def _compare_saved(
    options: CompareOptions, command_line: str, messages: Console, how: HowToRead
) -> None:
    plot = _plot_config(options)
    output_dir = options.output_dir or OUTPUTS
    runs, results, remarks = read_selected(select(options.runs or [], output_dir), how)
    differences = _differences(runs, force=options.force)
    planned = plan_directory(output_dir, options.name, "compared")
    shown, reduced = legible(results)
    remarks += [*differences.remarks, *([BEST_RATES] if reduced else [])]
    for remark in remarks:
        messages.print(Text(f"note: {visible(remark)}", "yellow"), soft_wrap=True)
    if options.dry_run:
        _print_plan(options, planned, runs)
        return
    directory = make_directory(planned, exact=options.name is not None)
    drawn = [draw(directory, plot, shown, differences, messages)] if plot.enabled else []
    comparison = compare(shown, differences)
    write_record(directory, new_record(command_line, remarks, plot), comparison, shown)
    # Of different problems there is no target, whatever the losses are.
    notes = [*result_notes(comparison, results, mixed=bool(differences.problems))]
    _print(options, directory, comparison, shown, drawn, remarks, notes)


def read_selected(
    selected: Sequence[Selected], how: HowToRead
) -> tuple[dict[str, SavedRun], list[RunResult], list[str]]:
    """The runs that have logged a row, by name, their results, and a remark on each other run.

    Raises:
        ConfigError: no run has logged a row.
        DataError: a file is damaged.
        OutputError: a file can't be read.
    """
    runs, results, remarks = {}, [], []
    for name, one in zip(_names(selected), selected, strict=True):
        result = read_result(one.run, how, name)
        if result:
            runs[name] = one.run
            results.append(result)
        else:
            remarks.append(f"{one.run.path}: has logged no row yet, and is left out")
    if not results:
        raise ConfigError("none of the runs has logged a row yet")
    return runs, results, remarks


def _differences(runs: Mapping[str, SavedRun], *, force: bool) -> Differences:
    """In what the runs differ.

    Raises:
        ConfigError: they are of different problems, which only `force` allows.
        DataError: a file is damaged.
        OutputError: a file can't be read.
    """
    found = differences_of(runs)
    if found.problems and not force:
        problem = "the runs are of different problems, so their losses can't be compared"
        hint = "--force draws them together all the same"
        raise ConfigError([problem, *found.problems], hint)
    return found


def _print_plan(options: CompareOptions, planned: Path, saved: Mapping[str, SavedRun]) -> None:
    """Print what `--dry-run` shows: the runs by name, and where the picture would go."""
    if options.json:
        runs = [{"name": name, "directory": str(run.path)} for name, run in saved.items()]
        write_json({"schema": SCHEMA_VERSION, "directory": str(planned), "runs": runs})
        return
    lines = [f"{name}: {run.path}" for name, run in saved.items()]
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
        write_json({**content, "notes": remarks, "cautions": list(end_notes(results))})
    elif options.quiet:
        write(f"{directory}\n")
    else:
        out = table_console()
        out.print(result_table(comparison, out))
        if notes:
            out.print(*(Text(visible(note), "dim") for note in notes), sep="\n")
        lines = written(directory, [], drawn, [COMPARED])
        out.print(*(Text(visible(line)) for line in lines), sep="\n", soft_wrap=True)


def _plot_config(options: CompareOptions) -> PlotConfig:
    """How the picture is drawn.

    Raises:
        ConfigError: an option for training was given.
    """
    flags = [flag for flag, _ in options.overrides().values()]
    if options.config is not None:
        flags.append(f"--config {options.config}")
    if options.resume is not None:
        flags.append(f"--resume {options.resume}")
    settings = options.set or []
    flags += [f"--set {text}" for text in settings if not text.strip().startswith("plot.")]
    if flags:
        raise ConfigError(
            [f"{excerpt(flag)}: is for training, and saved runs are not trained" for flag in flags],
            "leave it out; or name no runs, to train and compare all three methods",
        )
    return load_config(None, settings).plot


def select(names: Sequence[str], output_dir: Path) -> list[Selected]:
    """The runs with these names, each once; a group or comparison stands for all its runs.

    Raises:
        GdrunError: a run doesn't exist, or is damaged.
    """
    found: dict[Path, Selected] = {}
    for name in names:
        path = _find(name, output_dir)
        with output_errors(path, "read"):
            saved = open_any(path)
            if isinstance(saved, SavedGroup) and not saved.members:
                raise ConfigError(f"{path}: none of its runs was started")
            if isinstance(saved, SavedComparison) and not saved.named_runs:
                raise ConfigError(f"{path}: none of its runs is there any more")
            for run in saved.runs:
                group = path if isinstance(saved, SavedGroup) else _group_of(run.path)
                found.setdefault(run.path.resolve(), Selected(run, group))
    return list(found.values())


def _find(name: str, output_dir: Path) -> Path:
    """The directory of a run.

    Raises:
        ConfigError: there is no such run; the name may be that of a config or of data.
        OutputError: the output directory can't be read.
    """
    try:
        return find_run(name, output_dir)
    except ConfigError as error:
        raise ConfigError(error.problems, *words_hint("compare", name), *error.hints) from None


def _group_of(run: Path) -> Path | None:
    root = root_of(run)
    return None if root == run else root


def _names(selected: Sequence[Selected]) -> list[str]:
    """The shortest names that differ: the runs' own, with their groups, paths, or numbers."""
    choices = [_name_with_group, _path]
    if len({one.group for one in selected}) == 1:
        choices.insert(0, _own_name)
    for choice in choices:
        names = [choice(one) for one in selected]
        if len(set(names)) == len(names):
            return names
    return [str(number) for number, _ in enumerate(selected, 1)]


def _own_name(selected: Selected) -> str:
    return visible(selected.run.path.resolve().name)


def _path(selected: Selected) -> str:
    return visible(os.path.relpath(selected.run.path))


def _name_with_group(selected: Selected) -> str:
    own = _own_name(selected)
    return visible(f"{selected.group.resolve().name}/{own}") if selected.group else own
