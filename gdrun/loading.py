"""Saved runs in Python: `gdrun.load("latest")`, for a notebook or a script."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Trial
from gdrun.analysis.why.explain import Explanation, explain
from gdrun.config.read import a_path
from gdrun.errors import ConfigError, excerpt
from gdrun.experiment.trained.on_demand import SavedNetworks
from gdrun.notebook import png_of
from gdrun.results.events import Status
from gdrun.results.named import Results
from gdrun.results.run import MAX_LINE, LaneResult, RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import OUTPUTS, find_run
from gdrun.storage.reader import read_results, saved_sweep_result
from gdrun.storage.saved_run import AnySaved, SavedComparison, named_runs, open_any
from gdrun.text import visible

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class LoadedRun:
    """A saved run, or a group of runs, with its results.

    Columns are dicts of lists of the same length, as `pandas.DataFrame` takes them.

    Attributes:
        path: its directory.
        kind: `run`, `group`, or `comparison` of saved runs.
        command: `full`, `sgd`, `minibatch`, `compare`, `sweep`, or `compared`.
        status: `running`, `done`, `diverged`, `interrupted` or `failed`.
        config: the config, as nested dicts.
        manifest: the content of `run.json`.
        results: of the runs that have logged a row, in their order, and by their names.
    """

    path: Path
    kind: str
    command: str
    status: Status
    config: Mapping[str, Any] = field(repr=False)
    manifest: Mapping[str, Any] = field(repr=False)
    results: Results = field(repr=False)
    _saved: AnySaved = field(repr=False)

    def __repr__(self) -> str:
        """At most five lines: what it is, and how its runs ended."""
        runs = ", ".join(result.series.name for result in self.results) or "none with a row yet"
        lines = [
            f"LoadedRun {self.path}: {self.kind} of gdrun {self.command}, {self.status}",
            f"runs: {runs}",
            "columns: epochs, steps, lanes" + (", trials" if self.command == "sweep" else ""),
        ]
        return "\n  ".join(visible(excerpt(line, MAX_LINE)) for line in lines)

    def _repr_png_(self) -> bytes | None:
        return png_of(self)

    @cached_property
    def epochs(self) -> Columns:
        """The columns of `epochs.csv`, run after run, lane after lane."""
        return _joined([result.epochs for result in self.results])

    @cached_property
    def steps(self) -> Columns:
        """The columns of `steps.csv`, which is read when they are first needed.

        Raises:
            DataError: it is damaged.
            OutputError: it can't be read.
        """
        return _joined([result.steps for result in self.results])

    @cached_property
    def probes(self) -> Columns:
        """The columns of `probes.csv`, likewise; none of a run without probes.

        Raises:
            DataError: it is damaged.
            OutputError: it can't be read.
        """
        return _joined([result.probes for result in self.results])

    @property
    def lanes(self) -> Columns:
        """How each lane ended: its run, method and batch size, and then the keys of `run.json`."""
        rows = [
            {
                "run": result.series.name,
                "method": result.series.method,
                "batch_size": result.series.batch_size,
                **{key: value for key, value in asdict(lane).items() if key != "metrics"},
                **lane.metrics,
            }
            for result in self.results
            for lane in result.lanes
        ]
        own = [column.name for column in fields(LaneResult) if column.name != "metrics"]
        measured = dict.fromkeys(name for row in rows for name in row)
        names = dict.fromkeys(["run", "method", "batch_size", *own, *measured])
        return {name: [row.get(name) for row in rows] for name in names}

    @cached_property
    def answer(self) -> SweepResult | None:
        """The result of a sweep, as `heatmap_figure` draws it; None of anything else."""
        return saved_sweep_result(self._saved, self.results)

    @cached_property
    def explanation(self) -> Explanation:
        """Why it went as it did, by its probes: `print(load("latest").explanation)`.

        Raises:
            ConfigError: it has logged no row yet.
            DataError: a file is damaged.
            OutputError: a file can't be read.
        """
        return explanation_of(self._saved, self.results, self.answer)

    @property
    def trials(self) -> Columns:
        """The columns of `sweep.csv`: each training of a sweep, and its cost to reach the target.

        Raises:
            ConfigError: it isn't a sweep.
        """
        if self.command != "sweep":
            raise ConfigError(f"{self.path}: is not a sweep, and only a sweep has trials")
        cells = self.answer.cells if self.answer else ()
        rows = [trial.as_row() for cell in cells for trial in cell.trials]
        not_of_all = ("metrics", "optimizer")
        names = [column.name for column in fields(Trial) if column.name not in not_of_all]
        names = [*dict.fromkeys([*(name for row in rows for name in row), *names])]
        return {name: [row.get(name) for row in rows] for name in names}


def load(run: str | Path, *, output_dir: str | Path = OUTPUTS) -> LoadedRun:
    """Load a saved run, a group of runs or a comparison of saved runs; its files are only read.

    Args:
        run: its directory, its name below `output_dir`, `GROUP/RUN`, or `latest`.
        output_dir: the directory that names are looked up in.

    Raises:
        ConfigError: there is no such run.
        DataError: a file of it is damaged.
        OutputError: a file can't be read.
    """
    path = find_run(str(a_path("run", run)), a_path("output_dir", output_dir))
    with output_errors(path, "read"):
        saved = open_any(path)
        return LoadedRun(
            path=path,
            kind=saved.manifest.kind,
            command=saved.experiment,
            status=saved.status,
            config=saved.config,
            manifest=saved.manifest.content,
            results=Results(map(_with_networks, read_results(saved))),
            _saved=saved,
        )


def explanation_of(
    saved: AnySaved, results: Sequence[RunResult], sweep: SweepResult | None
) -> Explanation:
    """Why a saved run or group went as it did.

    Raises:
        ConfigError: it has logged no row yet.
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    if not results:
        raise ConfigError(f"{saved.path}: has logged no row yet, so there is nothing to explain")
    places = {name or own.name: own.path for name, own in named_runs(saved)}
    target = None
    if not isinstance(saved, SavedComparison):
        with output_errors(saved.path, "read"):
            target = saved.settings.sweep.target
    return explain(saved.experiment, results, sweep, saved.path, places, target)


def _with_networks(result: RunResult) -> RunResult:
    """A result with the networks that its directory keeps."""
    assert result.directory is not None
    return replace(result, networks=SavedNetworks(result.directory))


def _joined(tables: list[dict[str, list[float | str]]]) -> Columns:
    """The rows of all tables, one table after the other; what a table hasn't is NaN."""
    names = dict.fromkeys(name for table in tables for name in table)
    unknown = [[math.nan] * len(table["epoch"]) for table in tables]
    return {
        name: [value for k, table in enumerate(tables) for value in table.get(name, unknown[k])]
        for name in names
    }
