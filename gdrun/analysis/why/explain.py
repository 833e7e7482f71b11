"""Why trainings went as they did: a few paragraphs of sentences, each on a condition that holds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.why.band import Band
from gdrun.analysis.why.comparison import why_better
from gdrun.analysis.why.next_step import (
    NextStep,
    after_group,
    after_run,
    after_sweep,
    probing_command,
)
from gdrun.analysis.why.noise import curved, noise
from gdrun.analysis.why.per_pass import by_pass
from gdrun.analysis.why.prediction import prediction
from gdrun.analysis.why.probed import ProbedRun, probed_runs
from gdrun.analysis.why.sentence import Sentence, named
from gdrun.analysis.why.stability import stability
from gdrun.analysis.why.two_sizes import two_sizes
from gdrun.config.pieces import without_piece
from gdrun.results.compare import compare_results
from gdrun.results.lanes import MIN_BAND_SEEDS, best_rate
from gdrun.results.rows import probe_columns as names
from gdrun.results.run import RunResult, finite
from gdrun.text import count

FEWEST_EPOCHS = 3  # that tell early from late
UNPROBED = "Nothing was measured while it was trained that could explain it. Train with:"
UNSURE = 0.3  # of a number that is estimated, from which error on that is said


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why trainings went as they did.

    Attributes:
        runs: those that were probed, each at its best learning rate, and others that diverged.
        sentences: what there is to say.
        next_step: what to try next; None where there is nothing to say about that.
        cautions: what to bear in mind.
        probe: the command that trains the same with probes, where there were none.
    """

    runs: tuple[ProbedRun, ...]
    sentences: tuple[Sentence, ...]
    next_step: NextStep | None
    cautions: tuple[str, ...]
    probe: str = ""

    @property
    def text(self) -> str:
        """All of it: a paragraph a topic, what to try next, and what to bear in mind."""
        if not self.runs:
            return f"{UNPROBED} {self.probe}"
        topics = dict.fromkeys(sentence.topic for sentence in self.sentences)
        paragraphs = [
            " ".join(each.text for each in self.sentences if each.topic == topic)
            for topic in topics
        ]
        if self.next_step:
            paragraphs.append(f"{self.next_step.reason.text} {self.next_step.command}")
        paragraphs += [f"Note: {caution}." for caution in self.cautions]
        return "\n\n".join(paragraphs)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        """One line: what is explained, and where that is said."""
        if not self.runs:
            return "Explanation: no probes; what to train is in text"
        said = count(len(self.sentences), "sentence")
        return f"Explanation: {count(len(self.runs), 'run')}, {said} in text"

    def as_json(self) -> dict[str, Any]:
        """The same for `--json`."""
        step = self.next_step
        return {
            "runs": [_as_json(run) for run in self.runs],
            "sentences": [
                {"topic": each.topic, "condition": each.condition, "text": each.text}
                for each in self.sentences
            ],
            "next": step and {"condition": step.reason.condition, "command": step.command},
            "cautions": list(self.cautions),
            **({"probe": self.probe} if self.probe else {}),
        }


def explain(
    command: str,
    results: Sequence[RunResult],
    sweep: SweepResult | None,
    directory: Path | None = None,
    place_of: Mapping[str, Path] | None = None,
    target: float | None = None,
) -> Explanation:
    """Explain a run or a group of runs.

    Args:
        command: what trained them.
        results: of the runs; at least one.
        sweep: the result of a sweep.
        directory: of the run or group; without it, commands are calls in Python.
        place_of: the directories of the runs that are compared, by name.
        target: the train loss to reach, if one was given.
    """
    if sweep:
        results = [*_best_pieces(results, sweep)]
    chosen = [_at_best(result, sweep) for result in results]
    probed = [run for run in chosen if run.epochs]
    if not probed:
        first = chosen[0]
        own = command if command != "compared" else first.series.method
        place = place_of[first.name] if command == "compared" and place_of else directory
        return Explanation((), (), None, (), probing_command(own, place, first))
    diverged = [
        run
        for result in results
        for run in probed_runs(result)
        if not sweep and run.has_diverged and run.epochs and run not in probed
    ]
    runs = [*probed, *diverged]
    is_group = len(results) > 1
    alike = len({replace(run.result.description, device="") for run in probed}) == 1
    parts: list[Iterator[Sentence]] = [stability(runs)]
    if sweep:
        recommended = sweep.recommended
        own_noise = [run for run in probed if recommended and run.name == recommended.run]
        parts += [noise(own_noise), curved(own_noise)]
        parts += [prediction(part, probed) for part in sweep.parts]
    else:
        parts += [noise(probed), curved(probed)]
        if is_group and alike and len(probed) == len(results):
            parts += [by_pass(probed), why_better(probed, compare_results(results, target))]
    parts.append(two_sizes(probed))
    step: NextStep | None
    if sweep:
        step = after_sweep(sweep, directory)
    elif is_group:
        step = after_group(probed, directory) if command != "compared" else None
    else:
        step = after_run(probed[0], directory)
    return Explanation(
        tuple(runs),
        tuple(chain.from_iterable(parts)),
        step,
        tuple(_cautions(chosen, probed)),
    )


def _as_json(run: ProbedRun) -> dict[str, Any]:
    """What was measured of a run, early and late: medians over seeds, and bands about them."""
    return {
        "name": run.name,
        "batch_size": run.batch_size,
        "lr": run.lr,
        "seeds": len(run.lanes),
        **{
            when: {
                "epochs": epochs,
                "sharpness_over_limit": _band(run.ratio(epochs)),
                **{column: _band(run.over(column, epochs)) for column in _TOLD},
            }
            for when, epochs in (("early", run.early), ("late", run.late))
        },
    }


_TOLD = (names.SHARPNESS, names.SIMPLE_SCALE, names.CURVED_SCALE, names.GRADIENT_NORM)


def _band(found: Band | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {name: finite(getattr(found, name)) for name in ("middle", "low", "high")}


def _best_pieces(results: Sequence[RunResult], sweep: SweepResult) -> Iterator[RunResult]:
    """The results without those of pieces, of which another has the best rate of the batch size."""
    best = {cell.run for cell in sweep.best_of_batch}
    has_best = {without_piece(run) for run in best}
    for result in results:
        name = result.series.name
        if name in best or without_piece(name) not in has_best:
            yield result


def _at_best(result: RunResult, sweep: SweepResult | None) -> ProbedRun:
    """A run at its best learning rate: in a sweep, the one that reaches the target first."""
    runs = probed_runs(result)
    if sweep:
        best = next((c.lr for c in sweep.best_of_batch if c.run == result.series.name), None)
    else:
        best = best_rate(result.lanes)
    return next((run for run in runs if run.lr == best), runs[0])


def _cautions(chosen: Sequence[ProbedRun], probed: Sequence[ProbedRun]) -> Iterator[str]:
    """What to bear in mind: few seeds, few epochs, large errors, what is missing."""
    if missing := [run for run in chosen if run not in probed]:
        yield f"{named(missing)} {'was' if len(missing) == 1 else 'were'} not probed"
    seeds = min(len(run.lanes) for run in probed)
    if seeds < MIN_BAND_SEEDS:
        yield (
            f"with {count(seeds, 'seed')} nothing tells how far others are; comparisons leave room "
            "for a factor of two, and --seeds 8 shows the spread"
        )
    few = [run for run in probed if len(run.epochs) < FEWEST_EPOCHS]
    if few:
        yield (
            f"{named(few)} {'was' if len(few) == 1 else 'were'} measured at "
            f"{count(min(len(run.epochs) for run in few), 'epoch')} only: a smaller probe_every "
            "tells early from late"
        )
    for run in probed:
        if any(_is_unsure(run, *each) for each in _ESTIMATED):
            yield (
                f"of {run.name} the noise scale that is weighted by the curvature, or the "
                "sharpness, is an estimate that may be off by a third or more"
            )
    if unfinished := [run for run in probed if run.result.status in ("running", "interrupted")]:
        yield f"{named(unfinished)} {'has' if len(unfinished) == 1 else 'have'} not ended yet"


_ESTIMATED = (
    (names.CURVED_SCALE, names.CURVED_SCALE_ERROR),
    (names.SHARPNESS, names.SHARPNESS_ERROR),
    (names.PRECONDITIONED, names.PRECONDITIONED_ERROR),
)


def _is_unsure(run: ProbedRun, column: str, error: str) -> bool:
    """Whether a column that is estimated has large errors for its size, in the median."""
    value, off = run.over(column, run.epochs), run.over(error, run.epochs)
    return bool(value and off and off.middle > UNSURE * abs(value.middle))
