"""What a saved run's `run.json`, config and directory say of it, in words."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from gdrun.config.identity import flatten
from gdrun.config.schema import DATA_SOURCES, RunConfig
from gdrun.results.events import COMPLETE
from gdrun.results.run import RunResult
from gdrun.storage.listing import local_time
from gdrun.storage.saved_run import SavedRun
from gdrun.text import count, duration, visible


def origin(saved: SavedRun) -> Iterator[tuple[str, str]]:
    """The command that was typed, when it was run, on what machine, and which runs are missing."""
    manifest = saved.manifest
    if manifest.get("command"):
        yield "command", str(manifest["command"])
    started, finished = (local_time(saved, key) for key in ("started", "finished"))
    if started:
        yield "started", f"{started}{_resumed(manifest)}{_lasted(manifest, finished)}"
    begun = [run.path.name for run in saved.members]
    gone = [str(name) for name in manifest.get("members", []) if name not in begun]
    if gone:
        yield "missing", f"{', '.join(gone)}: trained, but no longer in the directory"
    yield "machine", " · ".join(_machine(manifest))


def _resumed(manifest: Mapping[str, Any]) -> str:
    times = len(manifest.get("resumed", []))
    return f", resumed {count(times, 'time')}" if times else ""


def _lasted(manifest: Mapping[str, Any], finished: str | None) -> str:
    if not finished:
        return ""
    seconds = _seconds_at_work(manifest)
    if seconds is None:
        return f", ended {finished}"
    return f", took {duration(seconds) if seconds else 'less than a second'}"


def _seconds_at_work(manifest: Mapping[str, Any]) -> float | None:
    """How long processes were at work on a finished run, in whole seconds, without the breaks.

    None where that isn't known: one of them was killed, or was of an older gdrun.
    """
    starts, ends = [manifest["started"]], []
    for resumed in manifest.get("resumed", []):
        starts.append(resumed.get("at") if isinstance(resumed, dict) else None)
        ends.append(resumed.get("stopped") if isinstance(resumed, dict) else None)
    try:
        spans = [
            (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
            for start, end in zip(starts, [*ends, manifest["finished"]], strict=True)
        ]
    except (TypeError, ValueError):
        return None
    return sum(spans)


def _machine(manifest: Mapping[str, Any]) -> Iterator[str]:
    if manifest.get("host"):
        yield str(manifest["host"])
    threads, jobs, versions = (manifest.get(key) for key in ("threads", "jobs", "versions"))
    if isinstance(threads, int):
        yield count(threads, "thread")
    if isinstance(jobs, int) and jobs > 1:
        yield count(jobs, "job")
    if isinstance(versions, dict):
        yield from (f"{name} {version}" for name, version in versions.items())
    if manifest.get("git_commit"):
        yield f"commit {str(manifest['git_commit'])[:12]}"


def changed_keys(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The dotted keys of a config that differ from the schema's defaults, with their values."""
    defaults = flatten(RunConfig().model_dump(mode="json"))
    data = config.get("data")
    source = data.get("source") if isinstance(data, dict) else None
    if source in DATA_SOURCES:
        defaults = {key: value for key, value in defaults.items() if not key.startswith("data.")}
        own = DATA_SOURCES[source].model_construct().model_dump(mode="json")
        defaults |= {f"data.{key}": value for key, value in own.items()}
        if source != "quadratic":
            del defaults["data.source"]
    return [
        (key, _in_words(value))
        for key, value in flatten(config).items()
        if key not in defaults or defaults[key] != value
    ]


def _in_words(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case list():
            return "[" + ", ".join(map(_in_words, value)) + "]"
        case None:
            return "none"
    return str(value)


def progress_of(saved: SavedRun, results: Sequence[RunResult]) -> Iterator[str]:
    """How far runs are that haven't ended, and why runs failed."""
    failures = saved.manifest.get("failures", [])
    for failure in failures if isinstance(failures, list) else []:
        if isinstance(failure, dict):
            problems = failure.get("problems", [])
            yield f"failed: {failure.get('name')}: {'; '.join(map(str, problems))}"
    if saved.status not in ("running", "interrupted", "failed"):
        return
    for result in results:
        if result.status in COMPLETE:
            continue
        epochs = saved.config.get("epochs")
        epoch = max(lane.epochs for lane in result.lanes)
        total = f" of {epochs:,}" if isinstance(epochs, int) else ""
        seconds = duration(max(lane.seconds for lane in result.lanes))
        yield f"{result.series.name}: epoch {epoch:,}{total}, {seconds} of training"


def files_of(saved: SavedRun) -> Iterator[Path]:
    """The files of a run or group, those of its runs after its own."""
    for place in dict.fromkeys([saved.path, *(run.path for run in saved.members)]):
        with os.scandir(place) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        yield from (place / name for name in names if not name.startswith("."))


def file_lines(saved: SavedRun) -> Iterable[str]:
    """The files, one line per directory."""
    by_place: dict[Path, list[str]] = {}
    for path in files_of(saved):
        by_place.setdefault(path.parent, []).append(path.name)
    width = max(len(run.path.name) for run in saved.members) + 3 if saved.members else 2
    for place, names in by_place.items():
        start = "" if place == saved.path else f"  {place.name}/"
        yield visible(f"{start:<{width}}  {'  '.join(names)}")
