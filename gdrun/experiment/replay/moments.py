"""A saved run at the ends of its epochs, whose weights nobody has kept: by training it again.

A run is a function of its config and its data, so that the same engine gives the same weights.

Shapes: R lanes.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gdrun.compiler import program_cache
from gdrun.compiler.executor import BACKENDS
from gdrun.compiler.spec import spec_for
from gdrun.config.schema import Engine
from gdrun.errors import DataError
from gdrun.experiment.engines import Choice, build_programs
from gdrun.experiment.memory import memory_errors
from gdrun.experiment.plan.runs import RunPlan
from gdrun.experiment.replay.fits import plan_of, refuse_other_data
from gdrun.experiment.resume import engine_of
from gdrun.results.events import Lane
from gdrun.results.fits import Fit
from gdrun.results.run import RunResult
from gdrun.storage.saved_run import SavedRun
from gdrun.training.loop import train
from gdrun.training.models.model import Params
from gdrun.training.outcome import fit, fit_grid, fitted
from gdrun.training.state import initial_state


@dataclass(frozen=True)
class Moment:
    """A run at the end of an epoch.

    Attributes:
        epoch: which; 0 is before training.
        train_loss: of each lane; None where it wasn't evaluated.
        fit: the fitted functions.
    """

    epoch: int
    train_loss: Sequence[float | None]
    fit: Fit


@dataclass(frozen=True)
class EpochEnd:
    """The weights of a run at the end of an epoch.

    Attributes:
        epoch: which; 0 is before training.
        train_loss: of each lane; None where it wasn't evaluated.
        params: copies of the weights of the lanes, (R, …) each.
    """

    epoch: int
    train_loss: Sequence[float | None]
    params: Params


@dataclass(frozen=True)
class Replay:
    """A saved run that is ready to be trained again.

    Attributes:
        run: its plan.
        engine: what executes its updates.
        notes: what the user should know of it.
    """

    run: RunPlan
    engine: Engine
    notes: tuple[str, ...] = ()

    def updates(self, epochs: int) -> int:
        """How many updates so many epochs take."""
        return epochs * self.run.plan.updates_per_epoch(self.run.problem.data.rows)


def prepare_replay(
    saved: SavedRun,
    on_progress: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Replay:
    """Make a saved run ready to be trained again, with the engine that it was trained with.

    Where that one's program can't be built, updates are executed one by one.

    Args:
        saved: the run.
        on_progress: called with what is being done.
        stop: asked while the program is built.

    Raises:
        GdrunError: its config is damaged, or the data can't be read, or is not what it was.
        OSError: a file can't be read.
        KeyboardInterrupt: `stop` said so.
    """
    notes = []
    with memory_errors():
        run = plan_of(saved)
        if known := saved.manifest.data_fingerprint:
            refuse_other_data(run.problem, known)
    engine = engine_of(saved.manifest)
    if engine == "compiled":
        choice = Choice("compiled", programs=(spec_for(run.problem, run.plan),))
        if obstacle := program_cache.obstacle():
            choice = Choice("eager", obstacle)
        choice = build_programs(choice, on_progress, stop)
        if choice.engine == "eager":
            engine = "eager"
            notes.append(f"{saved.path}: trained again with engine eager: {choice.why}")
    return Replay(run, engine, tuple(notes))


def moments(
    replay: Replay,
    epochs: Sequence[int],
    lanes: Sequence[Lane],
    on_updates: Callable[[int], None] = lambda _: None,
) -> Iterator[Moment]:
    """Train a run with one feature again, and yield what it was at the ends of some epochs.

    Args and errors are those of `epoch_ends`.
    """
    problem = replay.run.problem
    grid, first = fit_grid(problem), None
    for end in epoch_ends(replay, epochs, lanes, on_updates):
        first = first or fit(problem, end.params)
        yield Moment(
            end.epoch, end.train_loss, replace(first, curves=fitted(problem, end.params, grid))
        )


def epoch_ends(
    replay: Replay,
    epochs: Sequence[int],
    lanes: Sequence[Lane],
    on_updates: Callable[[int], None] = lambda _: None,
) -> Iterator[EpochEnd]:
    """Train a run again, and yield its weights at the ends of some epochs.

    A run whose lanes have all diverged has no later ones.

    Args:
        replay: the run.
        epochs: which, in rising order.
        lanes: those of the run that are wanted, R of them.
        on_updates: called with the number of updates so far, again and again.

    Raises:
        DataError: the config gives other lanes.
        OutputError: the compiled program is gone, and can't be built.
    """
    places = [k for lane in lanes for k, own in enumerate(replay.run.plan.lanes) if own == lane]
    if len(places) != len(lanes):
        raise DataError(f"{replay.run.name}: its config gives other lanes than those in its log")
    problem, backend = replay.run.problem, BACKENDS[replay.engine]
    state = initial_state(problem, replay.run.plan)
    # Where a report may be of several epochs, those that are wanted are ends of the training.
    ends = epochs if backend.stacks_epochs else epochs[-1:]
    for end in ends:
        plan = replace(replay.run.plan.until(end), eval_growth=0.0)  # no losses within epochs
        with memory_errors():
            for segment in train(problem, plan, state, backend):
                on_updates(segment.updates)
                if segment.ends and segment.epoch in epochs:
                    losses = [segment.ends.train_loss[k][-1] for k in places]
                    params = tuple(tensor[places] for tensor in state.params)
                    yield EpochEnd(segment.epoch, losses, params)


def largest_difference(
    train_losses: Mapping[int, Sequence[float | None]], result: RunResult
) -> float:
    """The largest difference between the train losses of moments, by epoch, and those of a run.

    As a share of the latter, which a log holds to nine digits.
    """
    largest = 0.0
    for lane, history in enumerate(result.histories):
        logged = zip(history.epochs["epoch"], history.epochs["train_loss"], strict=True)
        for epoch, then in logged:
            now = train_losses[int(epoch)][lane] if epoch in train_losses else None
            if now is not None and math.isfinite(now) and math.isfinite(then) and now != then:
                largest = max(largest, abs(now - then) / max(abs(then), math.ulp(0.0)))
    return largest
