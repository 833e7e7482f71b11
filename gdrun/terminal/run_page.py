"""What `gdrun show` prints of a run: how it was asked for and stands, its numbers, its curve."""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.identity import flatten
from gdrun.config.schema import DATA_SOURCES, RunConfig
from gdrun.results.axes import AXES, Cost, ceiling_of, median_curve
from gdrun.results.colors import OTHER_COLORS, run_colors
from gdrun.results.compare import at_best_rate, compare_results
from gdrun.results.run import RunResult
from gdrun.storage.listing import local_time
from gdrun.storage.saved_run import SavedRun
from gdrun.terminal.chart import Curve, chart
from gdrun.terminal.progress_table import headline
from gdrun.terminal.run_list import STATUS_STYLES
from gdrun.terminal.sweep_tables import sweep_report, sweep_result_as_json
from gdrun.terminal.tables import OneLine, result_notes, result_table, run_as_json
from gdrun.text import count, duration, rates_in_words, visible

WIDEST = 110  # columns of a chart


def show(
    stored: SavedRun,
    results: Sequence[RunResult],
    answer: SweepResult | None,
    console: Console,
    *,
    x: Cost,
    whole_config: bool,
) -> Iterator[RenderableType]:
    """What there is to say of a run or group, a part after the other, to print with `crop=False`.

    Raises:
        DataError: its `run.json` is damaged.
        OSError: a file can't be read.
    """
    title = Text.assemble(
        (visible(str(stored.path)), "bold"),
        "  ",
        (stored.experiment, ""),
        "  ",
        (stored.status, STATUS_STYLES[stored.status]),
    )
    yield OneLine(title)
    rates = list(dict.fromkeys(lr for result in results for lr in result.series.lrs))
    yield headline(stored.description, rates_in_words(rates))
    for fact, text in _facts(stored):
        line = Text.assemble((f"{fact:<8} ", "dim"), visible(text))
        yield OneLine(line) if fact == "command" else line
    if whole_config:
        yield Text("config", "dim")
        yield Text("\n".join(_as_yaml(stored.config)))
    else:
        changed = ", ".join(f"{key} {value}" for key, value in changed_keys(stored.config))
        yield Text.assemble(
            ("config   ", "dim"), visible(changed) or "the defaults", ("  (-c: all of it)", "dim")
        )
    yield from (Text(visible(line)) for line in _standing(stored, results))
    if stored.status in ("interrupted", "failed"):
        again = shlex.join(["gdrun", stored.experiment, "--resume", str(stored.path)])
        yield OneLine(Text(visible(f"to resume: {again}")))
    if not results:
        yield Text("no row is logged yet", "yellow")
    elif answer:
        yield Text()
        yield from sweep_report(answer, stored.path, console)
    else:
        comparison = compare_results(results)
        yield Text()
        yield result_table(comparison, console)
        yield from (Text(visible(note), "dim") for note in result_notes(comparison, results))
    if results:
        yield Text()
        yield Text("train loss", "bold")
        yield from draw_chart(results, x, console)
    yield Text()
    yield from (Text(line) for line in _files(stored))


def as_json(
    stored: SavedRun, results: Sequence[RunResult], answer: SweepResult | None
) -> Mapping[str, Any]:
    """The same for programs.

    Raises:
        DataError: its `run.json` is damaged.
        OSError: a file can't be read.
    """
    manifest = stored.manifest
    return {
        "directory": str(stored.path),
        "kind": manifest["kind"],
        "experiment": stored.experiment,
        "status": stored.status,
        **{key: manifest.get(key) for key in ("command", "started", "finished")},
        **{key: manifest.get(key) for key in ("device", "threads", "host", "versions")},
        "git_commit": manifest.get("git_commit"),
        "problem": asdict(stored.description),
        "config": stored.config,
        "comparison": asdict(compare_results(results)) if results else None,
        **({"answer": sweep_result_as_json(answer, stored.path)} if answer else {}),
        "runs": [run_as_json(result) for result in results],
        "files": [str(path) for path in _paths(stored)],
    }


def draw_chart(results: Sequence[RunResult], x: Cost, console: Console) -> Iterator[Text]:
    """Median train losses: of a run by learning rate, of several runs each at its best one."""
    ceiling = ceiling_of(results)
    color_of = run_colors([result.series for result in results])
    curves = []
    for result in results:
        lrs = (at_best_rate(result) if len(results) > 1 else result).series.lrs
        for k, lr in enumerate(lrs):
            several = len(result.series.lrs) > 1
            color = OTHER_COLORS[k % len(OTHER_COLORS)]
            curves.append(
                Curve(
                    f"{result.series.name}, lr {lr:g}" if several else result.series.name,
                    color if len(lrs) > 1 else color_of[result.series.name],
                    *median_curve(result, lr, x, ceiling),
                )
            )
    yield from chart(
        curves,
        AXES[x].title,
        min(console.width, WIDEST),
        show_x=AXES[x].show,
        encoding=console.encoding,
        colored=console.color_system is not None and not console.no_color,
    )


def changed_keys(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The dotted keys of a config that aren't as the schema would have them, with their values."""
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


def _as_yaml(config: Mapping[str, Any]) -> Iterator[str]:
    import yaml

    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    return (f"  {visible(line)}" for line in text.splitlines())


def _facts(stored: SavedRun) -> Iterator[tuple[str, str]]:
    """What was typed, when that was, and on what it ran."""
    manifest = stored.manifest
    if manifest.get("command"):
        yield "command", str(manifest["command"])
    started, finished = (local_time(stored, key) for key in ("started", "finished"))
    if started:
        resumed = manifest.get("resumed", [])
        again = f", gone on with {count(len(resumed), 'time')}" if resumed else ""
        lasted = ""
        if finished:
            seconds = _seconds_at_work(manifest)
            lasted = f", ended {finished}"
            if seconds is not None:
                lasted = f", took {duration(seconds) if seconds else 'less than a second'}"
        yield "started", f"{started}{again}{lasted}"
    begun = [run.path.name for run in stored.members]
    gone = [str(name) for name in manifest.get("members", []) if name not in begun]
    if gone:
        yield "missing", f"{', '.join(gone)}: trained once, and gone from the directory since"
    versions = manifest.get("versions")
    parts = [str(manifest["host"])] if manifest.get("host") else []
    for key, noun in (("threads", "thread"), ("jobs", "job")):
        if isinstance(manifest.get(key), int) and (key != "jobs" or manifest[key] > 1):
            parts.append(count(manifest[key], noun))
    if isinstance(versions, dict):
        parts += [f"{name} {version}" for name, version in versions.items()]
    if manifest.get("git_commit"):
        parts.append(f"commit {str(manifest['git_commit'])[:12]}")
    yield "machine", " · ".join(parts)


def _seconds_at_work(manifest: Mapping[str, Any]) -> float | None:
    """How long its processes were at work on a finished run, in whole seconds, without the breaks.

    None where that isn't known: one of them was killed, or was of an older gdrun.
    """
    starts, ends = [manifest["started"]], []
    for again in manifest.get("resumed", []):
        starts.append(again.get("at") if isinstance(again, dict) else None)
        ends.append(again.get("stopped") if isinstance(again, dict) else None)
    try:
        spans = [
            (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
            for start, end in zip(starts, [*ends, manifest["finished"]], strict=True)
        ]
    except (TypeError, ValueError):
        return None
    return sum(spans)


def _standing(stored: SavedRun, results: Sequence[RunResult]) -> Iterator[str]:
    """How far what hasn't ended is, and what failed."""
    failures = stored.manifest.get("failures", [])
    for failure in failures if isinstance(failures, list) else []:
        if isinstance(failure, dict):
            problems = failure.get("problems", [])
            yield f"failed: {failure.get('name')}: {'; '.join(map(str, problems))}"
    if stored.status not in ("running", "interrupted", "failed"):
        return
    for result in results:
        if result.status in ("done", "diverged"):
            continue
        epochs = stored.config.get("epochs")
        at = max(lane.epochs for lane in result.lanes)
        total = f" of {epochs:,}" if isinstance(epochs, int) else ""
        seconds = duration(max(lane.seconds for lane in result.lanes))
        yield f"{result.series.name}: epoch {at:,}{total}, {seconds} of training"


def _paths(stored: SavedRun) -> Iterator[Path]:
    """The files of a run or group, those of its runs after its own."""
    for place in dict.fromkeys([stored.path, *(run.path for run in stored.members)]):
        with os.scandir(place) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        yield from (place / name for name in names if not name.startswith("."))


def _files(stored: SavedRun) -> Iterable[str]:
    """The files, a line a directory."""
    by_place: dict[Path, list[str]] = {}
    for path in _paths(stored):
        by_place.setdefault(path.parent, []).append(path.name)
    width = max(len(run.path.name) for run in stored.members) + 3 if stored.members else 2
    for place, names in by_place.items():
        start = "" if place == stored.path else f"  {place.name}/"
        yield visible(f"{start:<{width}}  {'  '.join(names)}")
