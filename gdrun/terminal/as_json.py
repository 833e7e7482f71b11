"""What a command prints with `--json`: the same results, for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gdrun.analysis.advice import advice, command
from gdrun.analysis.cautions import cautions
from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.schema import RunConfig
from gdrun.results.compare import Comparison, compare_results
from gdrun.results.events import Status
from gdrun.results.progress import RunProgress
from gdrun.results.run import SCHEMA_VERSION, RunResult
from gdrun.storage.run_dir import log_bytes
from gdrun.storage.saved_run import AnySaved, SavedComparison
from gdrun.terminal.run_facts import bytes_logged, files_of
from gdrun.terminal.tables import end_notes


def plan_as_json(
    directory: Path,
    config: RunConfig,
    planned: Sequence[RunProgress],
    seconds: Mapping[str, float],
    log_size: int,
) -> Mapping[str, Any]:
    """What a dry run would train and log, and how long its parts may take if that is known."""
    estimated = {
        "estimated_seconds": round(sum(seconds.values()), 3),
        "estimated_parts": {name: round(each, 3) for name, each in seconds.items()},
    }
    return {
        "schema": SCHEMA_VERSION,
        "config": config.model_dump(mode="json"),
        "directory": str(directory),
        **(estimated if seconds else {}),
        "estimated_log_bytes": log_size,
        "runs": [
            {
                "name": run.series.name,
                "method": run.series.method,
                "batch_size": run.series.batch_size,
                "lanes": len(run.series.lanes),
                "updates_per_epoch": run.updates_per_epoch,
                "updates": run.total,
                "updates_done": run.updates,
            }
            for run in planned
        ],
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
    """The results of a command.

    `status` is that of the training; `interrupted` also holds where only drawing was cut short.
    """
    return {
        "schema": SCHEMA_VERSION,
        "status": status,
        "interrupted": interrupted,
        "directory": str(directory),
        "comparison": asdict(comparison),
        "runs": [_run_as_json(result) for result in results],
        "pictures": [str(path) for path in drawn],
        "log_bytes": log_bytes(result.directory for result in results if result.directory),
    }


def sweep_result_as_json(sweep: SweepResult, directory: Path) -> Mapping[str, Any]:
    """The result of a sweep, with its advice in words."""
    return {
        **sweep.summary(),
        "advice": advice(sweep),
        "command": command(sweep, directory),
        "cautions": list(cautions(sweep, directory)),
    }


def saved_as_json(
    saved: AnySaved, results: Sequence[RunResult], sweep: SweepResult | None
) -> Mapping[str, Any]:
    """A saved run, group or comparison, as `gdrun show` shows it.

    Raises:
        DataError: its config is damaged.
        OSError: a file can't be read.
    """
    if isinstance(saved, SavedComparison):
        return _comparison_as_json(saved, results)
    content = saved.manifest.content
    return {
        "directory": str(saved.path),
        "kind": saved.manifest.kind,
        "experiment": saved.experiment,
        "status": saved.status,
        **{key: content.get(key) for key in ("command", "started", "finished")},
        **{key: content.get(key) for key in ("device", "threads", "host", "versions")},
        "git_commit": content.get("git_commit"),
        "problem": asdict(saved.description),
        "config": saved.config,
        "comparison": asdict(compare_results(results, saved.settings.sweep.target))
        if results
        else None,
        **({"answer": sweep_result_as_json(sweep, saved.path)} if sweep else {}),
        "runs": [_run_as_json(result) for result in results],
        **({} if sweep else {"cautions": list(end_notes(results))}),
        "files": [str(path) for path in files_of(saved)],
        "log_bytes": bytes_logged(saved),
    }


def _comparison_as_json(saved: SavedComparison, results: Sequence[RunResult]) -> Mapping[str, Any]:
    """A comparison as it was made, and those of its runs that are still there."""
    content = saved.manifest.content
    return {
        "directory": str(saved.path),
        "kind": saved.manifest.kind,
        **{key: content.get(key) for key in ("command", "made", "notes", "comparison")},
        "runs": [_run_as_json(result) for result in results],
        "missing": [run.name for run in saved.missing],
        "cautions": list(end_notes(results)),
        "files": [str(path) for path in files_of(saved)],
    }


def _run_as_json(result: RunResult) -> Mapping[str, Any]:
    return {
        "name": result.series.name,
        "method": result.series.method,
        "batch_size": result.series.batch_size,
        "status": result.status,
        "directory": str(result.directory),
        "lanes": [asdict(lane) for lane in result.lanes],
    }
