"""What a saved run's `run.json`, config and directory say of it, in words."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdrun.config.identity import flatten
from gdrun.config.parts.kinds import KINDS, as_mappings
from gdrun.config.schema import RunConfig
from gdrun.results.events import COMPLETE
from gdrun.results.run import RunResult
from gdrun.storage.listing import local_time
from gdrun.storage.manifest import Manifest
from gdrun.storage.run_dir import log_bytes
from gdrun.storage.saved_run import AnySaved, Saved, SavedGroup
from gdrun.text import count, duration, size, visible


def origin(saved: Saved) -> Iterator[tuple[str, str]]:
    """The command that was typed, when it was run, on what machine, and which runs are missing."""
    manifest = saved.manifest
    if manifest.command:
        yield "command", manifest.command
    if manifest.started:
        yield "started", f"{local_time(manifest.started)}{_resumed(manifest)}{_lasted(manifest)}"
    begun = [visible(run.path.name) for run in saved.members]
    members = saved.manifest.members if isinstance(saved, SavedGroup) else ()
    if gone := [name for name in members if name not in begun]:
        yield "missing", f"{', '.join(gone)}: trained, but no longer in the directory"
    yield "machine", " · ".join(_machine(manifest))


def _resumed(manifest: Manifest) -> str:
    times = len(manifest.resumed)
    return f", resumed {count(times, 'time')}" if times else ""


def _lasted(manifest: Manifest) -> str:
    if not manifest.finished:
        return ""
    seconds = _seconds_at_work(manifest)
    if seconds is None:
        return f", ended {local_time(manifest.finished)}"
    return f", took {duration(seconds) if seconds > 0 else 'less than a second'}"


def _seconds_at_work(manifest: Manifest) -> float | None:
    """How long processes were at work on a finished run, in whole seconds, without the breaks.

    None where that isn't known: one of them was killed, or was of an older gdrun, or the clock was
    set back meanwhile.
    """
    starts = [manifest.started, *(resumed.at for resumed in manifest.resumed)]
    ends = [*(resumed.stopped for resumed in manifest.resumed), manifest.finished]
    spans = [
        (end - start).total_seconds()
        for start, end in zip(starts, ends, strict=True)
        if start and end
    ]
    is_known = len(spans) == len(starts) and min(spans) >= 0  # no clock was set back
    return sum(spans) if is_known else None


def _machine(manifest: Manifest) -> Iterator[str]:
    if manifest.host:
        yield manifest.host
    if manifest.threads:
        yield count(manifest.threads, "thread")
    if manifest.jobs > 1:
        yield count(manifest.jobs, "job")
    yield from (f"{name} {version}" for name, version in manifest.versions.items())
    if manifest.git_commit:
        yield f"commit {manifest.git_commit[:12]}"


def changed_keys(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The dotted keys of a config that differ from the schema's defaults, with their values."""
    defaults = RunConfig().model_dump(mode="json")
    names = {}
    for section, kinds in KINDS.items():
        written = config.get(section)
        defaults[section] = kinds.model(written).model_construct().model_dump(mode="json")
        if kinds.of(written) != kinds.default:
            del defaults[section][kinds.key]
        if kinds.named:
            names[f"{section}.{kinds.key}"] = section
    usual = flatten(defaults)
    return [
        (names.get(key, key), _in_words(value))
        for key, value in flatten(as_mappings(config)).items()
        if key not in usual or usual[key] != value
    ]


def _in_words(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case dict():
            return "{" + ", ".join(f"{key}: {_in_words(own)}" for key, own in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_in_words, value)) + "]"
        case None:
            return "none"
    return str(value)


def progress_of(saved: Saved, results: Sequence[RunResult]) -> Iterator[str]:
    """How far runs are that haven't ended, and why runs failed."""
    for failure in saved.manifest.failures if isinstance(saved, SavedGroup) else ():
        yield f"failed: {failure.name}: {'; '.join(failure.problems)}"
    if saved.status not in ("running", "interrupted", "failed"):
        return
    for result in results:
        if result.status in COMPLETE:
            continue
        epoch = max(lane.epochs for lane in result.lanes)
        done = f"epoch {epoch:,} of {saved.settings.epochs:,}"
        seconds = duration(max(lane.seconds for lane in result.lanes))
        yield f"{result.series.name}: {done}, {seconds} of training"


def files_of(saved: AnySaved) -> Iterator[Path]:
    """The files of a run, group or comparison, those of a group's runs after its own."""
    members = saved.members if isinstance(saved, SavedGroup) else ()
    for place in dict.fromkeys([saved.path, *(run.path for run in members)]):
        with os.scandir(place) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        yield from (place / name for name in names if not name.startswith("."))


def bytes_logged(saved: AnySaved) -> int:
    """What the logs of a run, or of all runs of a group, take on the disk."""
    return log_bytes(dict.fromkeys(path.parent for path in files_of(saved)))


def file_lines(saved: AnySaved) -> Iterable[str]:
    """The files, one line per directory; and in the first what the logs among them take."""
    by_place: dict[Path, list[str]] = {}
    for path in files_of(saved):
        by_place.setdefault(path.parent, []).append(path.name)
    if logs := bytes_logged(saved):
        by_place.setdefault(saved.path, []).append(f"({size(logs)} of logs)")
    width = max((len(place.name) + 3 for place in by_place if place != saved.path), default=2)
    for place, names in by_place.items():
        start = "" if place == saved.path else f"  {place.name}/"
        yield visible(f"{start:<{width}}  {'  '.join(names)}")
