"""What the head of a picture says: what was trained on what, and how to read the curves."""

from collections.abc import Sequence

from gdrun.plots.curves import divergence
from gdrun.plots.looks import has_bands, tells_rates_by_color
from gdrun.results.description import PLAIN
from gdrun.results.lanes import BAND, lanes_by_rate
from gdrun.results.run import RunResult
from gdrun.text import count, listed, span


def caption(results: Sequence[RunResult], note: str, *, curves_end: bool) -> tuple[str, list[str]]:
    """The title, and notes on how to read the curves."""
    notes = [loss_note(results)]
    seeds = [result.seeds for result in results]
    if max(seeds) > 1:
        # Fitted functions at several learning rates are drawn without bands.
        banded = has_bands(results) and (curves_end or len(_rates(results)) == 1)
        band = f", band {BAND[0]}th to {BAND[1]}th percentile" if banded else ""
        notes.append(f"median of {span(seeds)} seeds{band}")
    if note:
        notes.append(note)
    notes += _divergence(results, curves_end=curves_end)
    return title_of(results), [*notes, *status_notes(results)]


def title_of(results: Sequence[RunResult]) -> str:
    """What was trained on what, and the learning rate if there is only one."""
    descriptions = [result.description for result in results]
    networks = _each_once([description.network for description in descriptions], "networks")
    problems = _each_once([f"{d.data}, {count(d.rows, 'row')}" for d in descriptions], "problems")
    optimizers = _each_once([description.optimizer for description in descriptions], "optimizers")
    how = "" if optimizers == PLAIN else f", {optimizers}"
    rates = _rates(results)
    rate = f", learning rate {min(rates):g}" if len(rates) == 1 else ""
    if tells_rates_by_color(results):
        rate = f", batches of {results[0].series.batch_size:,}"
    schedules = [result.series.schedule for result in results]
    if any(schedules):
        rate += f", {_each_once([each or 'constant' for each in schedules], 'schedules')}"
    return f"{networks} on {problems}{how}{rate}"


def loss_note(results: Sequence[RunResult]) -> str:
    """The loss in words."""
    names = [result.description.loss_name for result in results]
    return f"loss: {_each_once(names, 'losses')}"


def status_notes(results: Sequence[RunResult]) -> list[str]:
    """Which runs have not ended."""
    notes = []
    for status, words in (("interrupted", "interrupted"), ("running", "still running")):
        names = [result.series.name for result in results if result.status == status]
        if names:
            notes.append(f"{words}: {', '.join(names)}")
    return notes


def _rates(results: Sequence[RunResult]) -> set[float]:
    return {lane.lr for result in results for lane in result.series.lanes}


def _divergence(results: Sequence[RunResult], *, curves_end: bool) -> list[str]:
    """Notes on what diverges: as a whole, which is marked, or some of the seeds."""
    whole, some = [], []
    for result in results:
        for lr, lanes in lanes_by_rate(result.lanes).items():
            diverged = sum(result.lanes[lane].diverged_at is not None for lane in lanes)
            of_run = f" of {result.series.name}" if len(results) > 1 else ""
            if divergence(result, lanes, "updates") is not None:
                whole.append(f"lr {lr:g}{of_run}")
            elif diverged:
                some.append(f"{diverged} of {len(lanes)} seeds at lr {lr:g}{of_run}")
    if not curves_end:
        return [f"not drawn, as it diverged: {listed(whole)}"] if whole else []
    notes = ["×: diverges"] if whole else []
    return notes + ([f"besides, there diverged {listed(some)}"] if some else [])


def _each_once(texts: Sequence[str], noun: str, shown: int = 3) -> str:
    """Each distinct text if these are few, otherwise how many there are."""
    found = list(dict.fromkeys(texts))
    return " / ".join(found) if len(found) <= shown else f"{len(found)} {noun}"


def literal(text: str) -> str:
    """Text for matplotlib, to which a dollar would begin a formula."""
    return text.replace("$", r"\$")
