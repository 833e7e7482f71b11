"""The plan of a training, and its state.

Shapes: R lanes, N training rows, B batch rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, takewhile

import torch
from torch import Tensor

from gdrun.config.methods import updates_per_epoch
from gdrun.config.schema import Sampling
from gdrun.results.events import Lane, ended_at
from gdrun.training.models.model import Params
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.optimizers.schedule import CONSTANT, Schedule
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.patience import BestEpochs
from gdrun.training.problem import Problem
from gdrun.training.ranks import ALONE, Division, Ranks

BLOCK = 2**10  # updates whose factors are computed together


@dataclass(frozen=True)
class Plan:
    """How to train: everything about a training but the problem.

    Attributes:
        lanes: what is trained in lockstep.
        batch_size: B ≤ N, rows per update.
        epochs: passes over the training rows.
        sampling: in which order rows are visited.
        drop_last: whether an epoch's incomplete last batch is left out.
        optimizer: how a gradient moves the weights.
        schedule: how the learning rates change.
        eval_every: epochs between evaluations of the loss over all rows.
        eval_growth: the share by which updates grow from one evaluation of the train loss within
            epochs to the next; 0 for none.
        scheduled_epochs: in how many the schedule is run through; 0 stands for `epochs`.
        patience: epochs without a lower validation loss after which a lane is stopped; 0 for none.
        snapshots: numbers of epochs; at the end of each of their multiples a segment ends, so that
            the state there can be looked at. Epoch 0 and the last one end one in any case.
        ranks: the processes that train together.
    """

    lanes: tuple[Lane, ...]
    batch_size: int
    epochs: int
    sampling: Sampling = "reshuffle"
    drop_last: bool = False
    optimizer: Optimizer = SGD()  # noqa: RUF009 (immutable)
    schedule: Schedule = CONSTANT
    eval_every: int = 1
    eval_growth: float = 0.0
    scheduled_epochs: int = 0
    patience: int = 0
    snapshots: tuple[int, ...] = ()
    ranks: Ranks = ALONE

    @cached_property
    def division(self) -> Division:
        """How the work is divided among the ranks."""
        return Division(len(self.lanes), self.ranks)

    @cached_property
    def own_lanes(self) -> tuple[Lane, ...]:
        """The lanes that this rank trains."""
        return self.lanes[self.division.own]

    def until(self, epoch: int) -> "Plan":
        """The plan that ends earlier, and is the same up to there."""
        return replace(self, epochs=epoch, scheduled_epochs=self.scheduled_epochs or self.epochs)

    def is_evaluated(self, epoch: int) -> bool:
        """Whether the loss over all rows is due at the end of an epoch."""
        return epoch % self.eval_every == 0 or epoch == self.epochs

    def is_snapshot(self, epoch: int) -> bool:
        """Whether the state at the end of an epoch is to be looked at."""
        return any(epoch % every == 0 for every in self.snapshots)

    def evaluated_within(self, rows: int, after: int = 0) -> Iterator[int]:
        """The updates within epochs, later than some, after which the train loss is evaluated.

        From one evaluation to the next, updates grow by one, or by the share `eval_growth`. Each
        evaluated end of an epoch is a beginning, so that fewer and fewer are between two of them,
        and in the end none. What a plan's last epoch is makes no difference.
        """
        per_epoch = self.updates_per_epoch(rows)
        span = per_epoch * self.eval_every
        if not self.eval_growth or per_epoch == 1:
            return
        for start in count(after // span * span, span):
            if start * self.eval_growth >= span:
                return
            update = start
            while True:
                update += max(1, int(update * self.eval_growth))
                update += update % per_epoch == 0  # the end of an epoch that isn't evaluated
                if update >= start + span:
                    break
                if update > after:
                    yield update

    def count_within(self, rows: int, after: int = 0) -> int:
        """How often the train loss is evaluated within epochs, later than after some update."""
        total = self.epochs * self.updates_per_epoch(rows)
        return sum(1 for _ in takewhile(total.__gt__, self.evaluated_within(rows, after)))

    def is_evaluated_after(self, update: int, rows: int) -> bool:
        """Whether the train loss is evaluated after an update within an epoch."""
        return next(self.evaluated_within(rows, update - 1), None) == update

    def learning_rates(self, device: torch.device) -> Tensor:
        """The learning rates of the lanes that this rank trains, (R,)."""
        return torch.tensor([lane.lr for lane in self.own_lanes], device=device)

    def factors(self, updates: range, rows: int) -> Tensor | None:
        """What depends on the time alone in updates with such numbers, from 1: (U, 1 + F).

        That is by what the learning rates are multiplied, and the factors of the optimizer. None
        where the first is always one, and there are no others.
        """
        if not self._has_factors:
            return None
        numbers = torch.arange(updates.start, updates.stop, dtype=torch.float64)
        own = self.optimizer.factors(numbers)
        scheduled = self.schedule.factors(numbers, self.scheduled_updates(rows))
        return torch.stack([scheduled, *own], dim=1).float()

    def scheduled_updates(self, rows: int) -> int:
        """The updates in which the schedule is run through."""
        return (self.scheduled_epochs or self.epochs) * self.updates_per_epoch(rows)

    @cached_property
    def _has_factors(self) -> bool:
        first = torch.ones(1, dtype=torch.float64)
        return self.schedule != CONSTANT or bool(self.optimizer.factors(first))

    def factors_after(
        self, update: int, rows: int, device: torch.device
    ) -> Iterator[Tensor] | None:
        """Those of one later update after the other, (1 + F) each."""
        if not self._has_factors:
            return None
        blocks = (
            self.factors(range(start, start + BLOCK), rows) for start in count(update + 1, BLOCK)
        )
        return (row for block in blocks if block is not None for row in block.to(device))

    def updates_per_epoch(self, rows: int) -> int:
        """Updates in one pass over N rows: ⌈N/B⌉, or ⌊N/B⌋ with `drop_last`."""
        return updates_per_epoch(rows, self.batch_size, drop_last=self.drop_last)

    def last_batch(self, rows: int) -> int:
        """Rows of an epoch's last update: B, or what is left."""
        per_epoch = self.updates_per_epoch(rows)
        return self.samples_after(per_epoch, rows) - self.samples_after(per_epoch - 1, rows)

    def samples_after(self, updates: int, rows: int) -> int:
        """Rows consumed by so many updates: B each, but for an epoch's incomplete last batch."""
        per_epoch = self.updates_per_epoch(rows)
        epochs, rest = divmod(updates, per_epoch)
        return epochs * min(rows, per_epoch * self.batch_size) + rest * self.batch_size


@dataclass
class TrainState:
    """Everything that the next update depends on, and nothing else; `train` moves it in place.

    Where lanes are divided among ranks, each has the weights of its own, and the rest of all.

    Attributes:
        params: stacked weights, (R, …) each.
        buffers: those of the optimizer, each like `params`.
        begun: whether the untrained losses have been reported.
        epoch: finished epochs: their updates are taken, and their ends reported.
        updates, samples: so far.
        seconds: training time so far.
        loss_sum: (R,) batch losses times rows, summed over the unfinished epoch so far.
        diverged_at: per lane, the update that first saw a non-finite loss, or None.
        best: when the validation losses were lowest, and which lanes were stopped since.
        evaluated: after which update within an epoch the train loss was evaluated last.
    """

    params: Params
    buffers: tuple[Params, ...]
    begun: bool
    epoch: int
    updates: int
    samples: int
    seconds: float
    loss_sum: Tensor
    diverged_at: list[int | None]
    best: BestEpochs
    evaluated: int = 0

    @property
    def ended_at(self) -> tuple[int | None, ...]:
        """Per lane, the update after which it counts no more: it diverged or was stopped; or None.

        Lanes go on in lockstep with the others, but nothing of them is noted.
        """
        return ended_at(self.diverged_at, self.best.stopped_at)

    def rest(self, plan: Plan, before: Params) -> None:
        """Give stopped lanes the weights that they had before, since they don't move any more."""
        stopped_at = self.best.stopped_at
        stopped = plan.division.own_positions(
            k for k, at in enumerate(stopped_at) if at is not None
        )
        if stopped:
            where = torch.tensor(stopped, device=before[0].device)
            for now, then in zip(self.params, before, strict=True):
                now[where] = then[where]

    def is_due(self, plan: Plan, rows: int) -> bool:
        """Whether the train loss within an epoch is due, and wasn't evaluated yet."""
        return self.evaluated < self.updates and plan.is_evaluated_after(self.updates, rows)

    def is_over(self, plan: Plan, updates_per_epoch: int) -> bool:
        """Whether nothing is left to do: all epochs are done, or the last one of every lane.

        An epoch is always closed, so that files don't depend on where a run was stopped.
        """
        if self.epoch >= plan.epochs:
            return True
        return None not in self.ended_at and self.updates == self.epoch * updates_per_epoch

    def fits(self, other: "TrainState", plan: Plan, rows: int) -> bool:
        """Whether it is of the same training as another: tensors alike, counters of the plan."""
        per_epoch = plan.updates_per_epoch(rows)
        return (
            self._shapes() == other._shapes()
            and len(self.diverged_at) == len(other.diverged_at)
            and self.best.fits(other.best, self.epoch)
            and all(at is None or at <= self.updates for at in self.ended_at)
            and self.begun >= (self.updates > 0)
            and 0 <= self.updates - self.epoch * per_epoch <= per_epoch
            and self.samples == plan.samples_after(self.updates, rows)
            and self.evaluated <= self.updates
        )

    def _shapes(self) -> list[list[tuple[torch.Size, torch.dtype]]]:
        groups = (self.params, *self.buffers, (self.loss_sum,))
        return [[(tensor.shape, tensor.dtype) for tensor in group] for group in groups]

    def clone(self) -> "TrainState":
        """A copy that shares nothing."""
        return replace(
            self,
            params=tuple(p.clone() for p in self.params),
            buffers=tuple(tuple(t.clone() for t in buffer) for buffer in self.buffers),
            loss_sum=self.loss_sum.clone(),
            diverged_at=list(self.diverged_at),
            best=self.best.clone(),
        )


def initial_state(problem: Problem, plan: Plan) -> TrainState:
    """The state before the first update, on the device of the problem's data."""
    device = problem.data.x.device
    seeds = [lane.seed for lane in plan.own_lanes]
    params = tuple(p.to(device) for p in problem.model.init(seeds))
    optimizer = plan.optimizer
    return TrainState(
        params=params,
        buffers=tuple(
            tuple(torch.full_like(p, optimizer.start) for p in params)
            for _ in range(optimizer.buffers)
        ),
        begun=False,
        epoch=0,
        updates=0,
        samples=0,
        seconds=0.0,
        loss_sum=torch.zeros(len(plan.lanes), dtype=torch.float64),
        diverged_at=[None] * len(plan.lanes),
        best=BestEpochs.none_yet(len(plan.lanes), params if len(problem.data.x_val) else ()),
    )
