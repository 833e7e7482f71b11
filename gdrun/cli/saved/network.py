"""Which of the networks of a saved run, or of a group's runs, predicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gdrun.errors import ConfigError
from gdrun.results.run import LaneResult, RunResult
from gdrun.storage.saved_run import AnySaved, SavedComparison, SavedGroup, SavedRun
from gdrun.text import listed, number

if TYPE_CHECKING:
    from gdrun.experiment.trained.networks import TrainedNetworks


@dataclass(frozen=True)
class ChosenLane:
    """The lane whose network predicts.

    Attributes:
        run: the run that it is of.
        result: that of the run.
        position: of the lane in it.
        last: whether the weights of its last epoch are asked for.
        lanes: of how many its loss is the lowest; 1 if it was named.
    """

    run: SavedRun
    result: RunResult
    position: int
    last: bool
    lanes: int = 1

    @property
    def lane(self) -> LaneResult:
        """How it ended."""
        return self.result.lanes[self.position]

    def epoch(self, networks: "TrainedNetworks") -> int:
        """The epoch whose weights these are."""
        is_best = networks.best and not self.last
        return networks.best_epochs[self.position] if is_best else self.lane.epochs

    def in_words(self, networks: "TrainedNetworks") -> str:
        """Which network it is, and its loss then, if that is known."""
        own, epoch = self.lane, self.epoch(networks)
        loss = ""
        if not self.result.description.val_rows and epoch == own.epochs:
            loss = f", train loss {number(own.train_loss)}"
        elif epoch in (own.best_val_epoch, own.epochs):
            now = own.best_val_loss if epoch == own.best_val_epoch else own.val_loss
            loss = f", validation loss {number(now)}"
        if loss and self.lanes > 1:
            loss += f", the lowest of {self.lanes:,} lanes"
        status = "" if own.status == "done" else f", {own.status}"
        return (
            f"network of {self.run.path}, lane {self.position} (lr {own.lr:g}, seed {own.seed}"
            f"{status}), epoch {epoch:,}{loss}"
        )


def choose_lane(
    saved: AnySaved, results: Sequence[RunResult], lane: int | None, last: bool
) -> ChosenLane:
    """The lane that is named, or that with the lowest validation loss of all runs.

    Raises:
        ConfigError: there is no such lane, or it can't be told of which run it would be.
        DataError: no lane has a finite loss.
    """
    if isinstance(saved, SavedComparison):
        runs = listed([*saved.named_runs])
        raise ConfigError(f"{saved.path}: is a comparison of saved runs", f"name one: {runs}")
    if not results:
        raise ConfigError(f"{saved.path}: has logged no row yet, so nothing was trained")
    if lane is not None and isinstance(saved, SavedGroup):
        names = listed([str(run.path) for run in saved.runs])
        raise ConfigError(
            f"--lane {lane}: is one of a run, and {saved.path} is a group", f"name one: {names}"
        )
    best = min(results, key=lambda result: result.lowest_loss(last=last))
    position = best.best_lane(last=last) if lane is None else best.checked_lane(lane)
    (run,) = (run for run in saved.runs if run.name == best.series.name)
    lanes = sum(len(result.lanes) for result in results) if lane is None else 1
    return ChosenLane(run, best, position, last, lanes)
