"""Whose paths `gdrun landscape` draws: one lane of each of the runs that are named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gdrun.cli.saved.compare import read_selected, select
from gdrun.cli.saved.record import differences_of
from gdrun.errors import ConfigError
from gdrun.results.lanes import lane_at_best_rate
from gdrun.results.rows.history import KEPT_ROWS
from gdrun.results.run import RunResult
from gdrun.storage.reader import HowToRead
from gdrun.storage.saved_run import SavedRun
from gdrun.text import differences, visible

MOST_RUNS = 6  # whose colours can be told apart, and whose paths don't hide each other


@dataclass(frozen=True)
class ChosenLane:
    """A lane of a run: its position, and the result of the run with that lane alone."""

    run: SavedRun
    whole: RunResult
    position: int

    @property
    def result(self) -> RunResult:
        """That of the run, as if it had no other lane."""
        k, whole = self.position, self.whole
        series = replace(whole.series, lanes=(whole.series.lanes[k],))
        alone: Any = {"histories": (whole.histories[k],), "lanes": (whole.lanes[k],)}
        return replace(whole, series=series, **alone)


def chosen_lanes(
    names: Sequence[str], output_dir: Path, lane: int | None, messages: Console, *, random: bool
) -> list[ChosenLane]:
    """The lanes to draw, one of each run.

    Raises:
        GdrunError: a run doesn't exist or is damaged, has no such lane, or they are too many, or of
            different problems.
    """
    from gdrun.terminal.live import reading

    selected = select(names, output_dir)
    most = 1 if random else MOST_RUNS
    if len(selected) > most:
        known = ", ".join(str(one.run.path) for one in selected[: MOST_RUNS + 1])
        more = f" and {len(selected) - MOST_RUNS - 1} more" if len(selected) > MOST_RUNS + 1 else ""
        what = (
            "--random is around the weights of one run" if random else f"at most {most} have room"
        )
        raise ConfigError(
            f"{len(selected)} runs, and {what}: {known}{more}", "name some of them: GROUP/RUN"
        )
    with reading(messages) as on_read:
        runs, results, remarks = read_selected(selected, HowToRead(KEPT_ROWS, on_read=on_read))
    for remark in remarks:
        messages.print(Text(f"note: {visible(remark)}", "yellow"), soft_wrap=True)
    _refuse_differences(runs)
    return [
        ChosenLane(
            runs[result.series.name],
            result,
            lane_at_best_rate(result.lanes) if lane is None else result.checked_lane(lane),
        )
        for result in results
    ]


def _refuse_differences(runs: Mapping[str, SavedRun]) -> None:
    """Refuse runs whose losses are not those of one network on the same data.

    Raises:
        GdrunError: they aren't, or a file is damaged.
    """
    problems = [*differences_of(runs).problems]
    networks = {name: run.description.network for name, run in runs.items()}
    code = {name: run.manifest.code.get("model", "none")[:12] for name, run in runs.items()}
    problems += differences({"network": networks, "code of the network (SHA-256)": code}, show=str)
    if problems:
        raise ConfigError(
            ["they are of different problems, so there is no loss around all of them", *problems],
            "name runs of the same network on the same data, with the same loss",
        )
