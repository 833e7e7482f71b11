"""An explanation on a terminal: a table of what was measured, a paragraph a topic, a command."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from gdrun.analysis.why.band import in_percent, two_digits
from gdrun.analysis.why.explain import UNPROBED, Explanation
from gdrun.analysis.why.noise import signal_share
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import Topic
from gdrun.results.colors import run_colors
from gdrun.results.rows.probe_columns import SIMPLE_SCALE
from gdrun.terminal.fitting import OneLine, fitting_table
from gdrun.text import exact, visible

TITLES: dict[Topic, str] = {
    "rate": "Learning rate.",
    "noise": "Noise.",
    "why": "Why.",
    "check": "Check.",
    "next": "Next.",
}
EXPENDABLE = ("noise_early", "noise_late", "early", "late", "share")
UNKNOWN = "–"


def explanation_lines(explanation: Explanation, console: Console) -> Iterator[RenderableType]:
    """What to print of an explanation, with `crop=False`."""
    if not explanation.runs:
        yield Text(UNPROBED)
        yield OneLine(Text(f"  {visible(explanation.probe)}", style="bold"))
        return
    yield measured_table(explanation.runs, console)
    for topic in dict.fromkeys(sentence.topic for sentence in explanation.sentences):
        yield ""
        texts = [each.text for each in explanation.sentences if each.topic == topic]
        yield Text.assemble((f"{TITLES[topic]} ", "bold"), visible(" ".join(texts)))
    if step := explanation.next_step:
        yield ""
        yield Text.assemble((f"{TITLES['next']} ", "bold"), visible(step.reason.text))
        yield OneLine(Text(f"  {visible(step.command)}", style="bold"))
    for caution in explanation.cautions:
        yield Text(f"note: {visible(caution)}", style="yellow")


def measured_table(runs: Sequence[ProbedRun], console: Console) -> Table:
    """A row per run: its rate as a share of what is stable, and how noisy its batches are."""
    columns = {
        "batch": ("batch", [f"{run.batch_size:,}" for run in runs]),
        "lr": ("lr", [exact(run.lr) for run in runs]),
        "share": ("sharpness\n/ limit", [_share(run) for run in runs]),
        "early": ("noise scale\nearly", [_scale(run, run.early) for run in runs]),
        "late": ("noise scale\nlate", [_scale(run, run.late) for run in runs]),
        "noise_early": ("is noise\nearly", [_noise(run, run.early) for run in runs]),
        "noise_late": ("is noise\nlate", [_noise(run, run.late) for run in runs]),
    }
    known = {
        key: column for key, column in columns.items() if any(cell != UNKNOWN for cell in column[1])
    }
    colors = run_colors([run.series for run in runs])
    names = [Text(visible(run.label), style=f"bold {colors[run.name]}") for run in runs]
    return fitting_table("run", names, known, EXPENDABLE, console)


def _share(run: ProbedRun) -> str:
    """The late sharpness over its limit; of a run that diverged, that before training."""
    ratio = run.ratio([0] if run.has_diverged else run.late)
    return in_percent(ratio.middle) if ratio else UNKNOWN


def _scale(run: ProbedRun, epochs: Sequence[int]) -> str:
    scale = run.over(SIMPLE_SCALE, epochs)
    return two_digits(scale.middle) if scale else UNKNOWN


def _noise(run: ProbedRun, epochs: Sequence[int]) -> str:
    share = signal_share(run, epochs)
    return UNKNOWN if math.isnan(share) else in_percent(1 - share)
