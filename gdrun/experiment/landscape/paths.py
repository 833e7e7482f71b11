"""The path of one lane of a saved run: its weights at the ends of epochs.

They are in a file where the run was trained with `trajectory: true`. Otherwise the run is trained
again, which gives the same ones.

Both need its network and its data, and so run the code of the user's that these are made by. As for
`gdrun animate` and `gdrun predict`, that is what the command was asked for, by the name of the run;
no code is run that was changed since the run was begun.

Shapes: n points, P weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gdrun.config.parts.data import PythonData
from gdrun.config.parts.own_code import OWN_CODE
from gdrun.data.own.find import hash_of
from gdrun.diagnostics.surface import as_vectors
from gdrun.errors import DataError
from gdrun.experiment.landscape.trajectory_file import TRAINED_AGAIN, read_records
from gdrun.experiment.memory import memory_errors
from gdrun.experiment.replay.fits import plan_of, refuse_other_data
from gdrun.experiment.replay.moments import epoch_ends, largest_difference, prepare_replay
from gdrun.experiment.resume import refuse_other_code
from gdrun.results.events import COMPLETE
from gdrun.results.file_names import TRAJECTORY
from gdrun.results.run import RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.saved_run import SavedRun
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.state import initial_state

MOST_POINTS = 256  # of a path
MOST_NUMBERS = 2**23  # of all its points together (32 MB)
VISIBLE_SHARE = 1e-3  # of a loss, from which on a difference to the logged one is said
OnProgress = Callable[[str, float], None]


@dataclass(frozen=True)
class Chosen:
    """A lane of a run whose path is wanted.

    Attributes:
        run: the run.
        result: that of the run, under the name that it has in the picture.
        lane: the position of the lane in it.
    """

    run: SavedRun
    result: RunResult
    lane: int

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.result.series.name

    @property
    def last_epoch(self) -> int:
        """The last epoch of the lane."""
        return self.result.histories[self.lane].latest.epoch


@dataclass(frozen=True)
class Trajectory:
    """Weights of a lane at the ends of epochs.

    Attributes:
        problem: what they minimise.
        like: the first of them, (…) each.
        epochs: which.
        weights: (n, P).
        notes: what the user should know of them.
    """

    problem: Problem
    like: Params
    epochs: tuple[int, ...]
    weights: Tensor
    notes: tuple[str, ...] = ()


def path_of(
    chosen: Chosen,
    on_progress: OnProgress,
    stop: Callable[[], bool],
    *,
    ends_alone: bool = False,
) -> Trajectory:
    """The path of a lane, from epoch 0 to its last one.

    Of long runs every second epoch, every fourth one and so on.

    Args:
        chosen: the lane.
        on_progress: called with what is being done, and how much of it is.
        stop: asked while a program is built.
        ends_alone: whether only the first and the last point are wanted.

    Raises:
        GdrunError: a file is damaged or can't be read, or the data or the code was changed.
        KeyboardInterrupt: `stop` said so.
    """
    run = chosen.run
    _refuse_changed_code(run)
    with output_errors(run.path, "read"):
        if run.settings.trajectory and (run.path / TRAJECTORY).exists():
            return _from_file(chosen, on_progress, ends_alone=ends_alone)
        return _by_training(chosen, on_progress, stop, ends_alone=ends_alone)


def _refuse_changed_code(run: SavedRun) -> None:
    """Refuse code of the user's that was changed, before any of it is run.

    Raises:
        DataError: it was.
    """
    named = {key: str(getattr(run.settings, key)) for key in OWN_CODE}
    if isinstance(run.settings.data, PythonData):
        named["data"] = run.settings.data.path
    own = {key: (Path(place).name, hash_of(place)) for key, place in named.items()}
    known = {key: (name, sha256) for key, (name, sha256) in own.items() if sha256 is not None}
    refuse_other_code(known, run.manifest, run.path)


def _wanted(last: int, parameters: int, *, ends_alone: bool) -> list[int]:
    """The epochs of a path: a power of two apart, and the last one."""
    if ends_alone:
        return sorted({0, last})
    most = max(2, min(MOST_POINTS, MOST_NUMBERS // parameters))
    every = 1
    while last // every + 2 > most:
        every *= 2
    return sorted({*range(0, last + 1, every), last})


def _from_file(chosen: Chosen, on_progress: OnProgress, *, ends_alone: bool) -> Trajectory:
    run, path = chosen.run, chosen.run.path / TRAJECTORY
    on_progress(f"reading {path}", 0.0)
    with memory_errors():
        plan = plan_of(run)
        if known := run.manifest.data_fingerprint:
            refuse_other_data(plan.problem, known)
    problem, lane = plan.problem, plan.plan.lanes.index(chosen.result.series.lanes[chosen.lane])
    lanes, parameters = len(plan.plan.lanes), problem.model.parameters
    whole = run.status in COMPLETE
    found = {
        epoch: torch.from_numpy(weights[lane].copy())
        for epoch, weights in read_records(path, lanes, parameters, whole=whole)
    }
    if not found or (whole and max(found) < chosen.last_epoch):
        raise DataError(
            f"{path}: is damaged: lacks the weights of epoch {chosen.last_epoch:,}",
            f"put it back as it was, or remove it: {TRAINED_AGAIN}",
        )
    last = min(chosen.last_epoch, max(found))
    epochs = [k for k in _wanted(last, parameters, ends_alone=ends_alone) if k in found]
    like = tuple(tensor[0] for tensor in initial_state(problem, plan.plan).params)
    return Trajectory(problem, like, tuple(epochs), torch.stack([found[epoch] for epoch in epochs]))


def _by_training(
    chosen: Chosen, on_progress: OnProgress, stop: Callable[[], bool], *, ends_alone: bool
) -> Trajectory:
    run, result = chosen.run, chosen.result
    doing = f"training {chosen.name} again"
    replay = prepare_replay(run, lambda what: on_progress(what, 0.0), stop)
    problem = replay.run.problem
    epochs = _wanted(chosen.last_epoch, problem.model.parameters, ends_alone=ends_alone)
    total = max(1, replay.updates(epochs[-1]))
    weights: list[Tensor] = []
    losses: dict[int, Sequence[float | None]] = {}
    like: Params = ()
    for end in epoch_ends(
        replay, epochs, result.series.lanes, lambda updates: on_progress(doing, updates / total)
    ):
        losses[end.epoch] = end.train_loss
        own = tuple(tensor[chosen.lane : chosen.lane + 1] for tensor in end.params)
        like = like or tuple(tensor[0] for tensor in own)
        weights.append(as_vectors(own)[0])
    notes = [*replay.notes]
    if (differs := largest_difference(losses, result)) > VISIBLE_SHARE:
        notes.append(
            f"{run.path}: trained again, its train losses differ by up to {100 * differs:.2g} % "
            "from those in its log: the machine, the device or the software is another"
        )
    return Trajectory(problem, like, tuple(losses), torch.stack(weights), tuple(notes))
