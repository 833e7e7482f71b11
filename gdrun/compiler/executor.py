"""Many updates at a time, executed by a compiled program.

A call takes U updates in each of L laps: whole epochs, or a part of one. Shapes: R lanes, computed
in C groups of G, the last of which may be filled up; P weights and biases of a lane.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress

import torch
from torch import Tensor

from gdrun.compiler.epoch_blocks import Laps, Visits
from gdrun.compiler.program_cache import Run, Updates
from gdrun.compiler.spec import spec_for
from gdrun.training import backend
from gdrun.training.backend import Chunk, Execute, Losses, Weights
from gdrun.training.evaluate import evaluate_together, evaluated_together
from gdrun.training.models import Params, Problem
from gdrun.training.state import Plan, TrainState
from gdrun.training.threads import SPLIT_WORK, threads_for

# Losses of a call, which the logs have to take before anybody is listened to.
MOST_LOSSES = 2**18
# Numbers of rows, and weights at ends of epochs, of a call.
MOST_NUMBERS, MOST_WEIGHTS = 2**20, 2**21
FIRST, GROWTH = 64, 8  # updates of the first call, and how many times as many the next may have
FIRST_WORK = 100_000_000  # multiply-adds of the first call, whose speed nobody knows yet


@dataclass(frozen=True)
class _Layout:
    """How the weights of R lanes lie in memory, (C, P, G), and as what they are handed out."""

    lanes: int
    group: int
    shapes: tuple[torch.Size, ...]

    @property
    def filled_up(self) -> int:
        """C times G."""
        return -(-self.lanes // self.group) * self.group

    def pack(self, tensors: Params) -> Tensor:
        """(R, …) each → (C, P, G), what is missing like the last lane."""
        rows = torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)
        rows = torch.cat([rows, rows[-1:].expand(self.filled_up - self.lanes, -1)])
        return rows.view(-1, self.group, rows.shape[1]).transpose(1, 2).contiguous()

    def unpack(self, packed: Tensor) -> list[Tensor]:
        """(L, C, P, G) → (L, R, …) each."""
        rows = packed.transpose(2, 3).flatten(1, 2)[:, : self.lanes]
        parts = torch.split(rows, [shape.numel() for shape in self.shapes], dim=2)
        shaped = zip(parts, self.shapes, strict=True)
        return [part.reshape(*part.shape[:2], *shape).clone() for part, shape in shaped]


@dataclass(frozen=True)
class _Call:
    """What a call came to.

    Attributes:
        losses: (L, U, R).
        params, velocity: (L, R, …) each, after each lap.
        seconds: what it took.
    """

    losses: Tensor
    params: list[Tensor]
    velocity: list[Tensor]
    seconds: float

    def weights(self, lap: int) -> Weights:
        """Those after a lap, (R, …) each."""
        params, velocity = ([t[lap] for t in tensors] for tensors in (self.params, self.velocity))
        return Weights(tuple(params), tuple(velocity))


def compiled(run: Run) -> Execute:
    """Execute updates by what `spec_for` the same problem and plan was compiled to."""
    return partial(_execute, run)


def _execute(run: Run, problem: Problem, plan: Plan, state: TrainState) -> Iterator[Chunk]:
    """The updates after a state, whose weights are replaced."""
    calls = _Calls(run, problem, plan, state)
    done, an_epoch = state.updates, plan.updates_per_epoch(problem.data.rows)
    if done == (state.epoch + 1) * an_epoch:
        yield from _by_laps(problem, plan, state, done, _standing(state))
    number = calls.first
    while done < plan.epochs * an_epoch:
        laps = calls.visits.laps(done, number)
        threads = calls.threads(laps)
        with threads_for(1):  # PyTorch's own would go on to wait for work where the program's are
            call = calls.take(laps, threads)
        yield from _by_laps(problem, plan, state, done, call)
        taken = laps.laps * laps.updates
        done += taken
        in_time = int(backend.SEGMENT_SECONDS * taken / call.seconds)
        number = max(1, min(in_time, number * GROWTH, calls.most))


class _Calls:
    """The calls of a program, one after the other."""

    def __init__(self, run: Run, problem: Problem, plan: Plan, state: TrainState) -> None:
        self.visits = Visits(problem.data, plan)
        self._run, self._plan = run, plan
        shapes = tuple(tensor.shape[1:] for tensor in state.params)
        self._layout = _Layout(len(plan.lanes), spec_for(problem, plan).lanes, shapes)
        moved = [state.params, state.velocity] if state.velocity else [state.params]
        self._moved = [self._layout.pack(tensors) for tensors in moved]
        lr = plan.rates(torch.device("cpu"))
        self._lr = torch.cat([lr, lr[-1:].expand(self._layout.filled_up - len(lr))])
        self._memory: dict[str, Tensor] = {}

    @property
    def most(self) -> int:
        """Updates that a call may have by what it takes of memory, and gives to log."""
        data, plan, lanes = self.visits.data, self._plan, self._layout.filled_up
        ends = MOST_WEIGHTS // self._moved[0].numel() * plan.updates_per_epoch(data.rows)
        numbers = MOST_NUMBERS // (lanes * plan.batch_size * max(1, data.x.shape[1]))
        return max(1, min(max(1, ends), numbers, MOST_LOSSES // lanes))

    @property
    def first(self) -> int:
        """Updates of the first call: no more than any may have, nor than are soon done."""
        work = self._moved[0].numel() * self._plan.batch_size
        return max(1, min(FIRST, FIRST_WORK // work, self.most))

    def take(self, laps: Laps, threads: int) -> _Call:
        """Go on for some laps."""
        start = time.perf_counter()
        x, y, rows = self.visits.rows(laps)
        losses = self._own("losses", laps.laps, laps.updates, self._layout.filled_up)
        ends = [self._own(f"{k}", laps.laps, *t.shape) for k, t in enumerate(self._moved)]
        weights, velocity, *_ = *self._moved, None
        ends_w, ends_v, *_ = *ends, None
        self._run(
            Updates(
                laps=laps.laps,
                updates=laps.updates,
                batch=self._plan.batch_size,
                last=laps.last,
                lanes=self._layout.filled_up,
                visitors=self._layout.lanes,
                threads=threads,
                x=_pointer(x),
                y=_pointer(y),
                rows=_pointer(rows),
                weights=_pointer(weights),
                velocity=_pointer(velocity),
                lr=_pointer(self._lr),
                losses=_pointer(losses),
                ends_w=_pointer(ends_w),
                ends_v=_pointer(ends_v),
            )
        )
        seconds = time.perf_counter() - start
        params, *buffers = map(self._layout.unpack, ends)
        own = losses[..., : self._layout.lanes].clone()
        return _Call(own, params, buffers[0] if buffers else [], seconds)

    def threads(self, laps: Laps) -> int:
        """As many as there are, where starting them is little beside what they have to do."""
        plan = self._plan
        work = self._moved[0].numel() * plan.batch_size  # of an update
        alone = self._layout.filled_up == self._layout.group  # threads share each update
        updates = 1 if alone else laps.laps * laps.updates
        return torch.get_num_threads() if updates * work >= SPLIT_WORK else 1

    def _own(self, name: str, *shape: int) -> Tensor:
        """Memory that is used by all calls, since new takes longer to get than to fill."""
        size = torch.Size(shape).numel()
        if name not in self._memory or self._memory[name].numel() < size:
            self._memory[name] = torch.empty(size)
        return self._memory[name][:size].view(shape)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _standing(state: TrainState) -> _Call:
    """What a call came to that ended where a state is."""
    params, velocity = (
        [tensor.unsqueeze(0) for tensor in each] for each in (state.params, state.velocity)
    )
    return _Call(torch.empty(1, 0, len(state.diverged_at)), params, velocity, 0.0)


def _by_laps(
    problem: Problem, plan: Plan, state: TrainState, done: int, call: _Call
) -> Iterator[Chunk]:
    """What a call came to: laps that are nothing special at once, others one by one."""
    laps, updates, _ = call.losses.shape
    known = list(_known(problem, plan, done, call))
    a_lap = call.seconds / laps
    an_epoch = plan.updates_per_epoch(problem.data.rows)
    plain = 0
    if updates == an_epoch and state.diverged_at.count(None) == len(state.diverged_at):
        plain = _plain(plan, done // an_epoch, call, known)
    if plain > 1:
        losses = call.losses[:plain].flatten(0, 1)
        yield Chunk(losses, call.weights(plain - 1), plain * a_lap, known[:plain])
    for lap in range(plain if plain > 1 else 0, laps):
        ends = known[lap : lap + 1] if (done + (lap + 1) * updates) % an_epoch == 0 else ()
        yield Chunk(call.losses[lap], call.weights(lap), a_lap, ends)


def _plain(plan: Plan, epochs: int, call: _Call, known: Sequence[Losses | None]) -> int:
    """How many laps from the first on are epochs with finite losses, evaluated where that is due.

    None of them is the last of the plan.
    """
    finite = call.losses.isfinite().flatten(1).all(dim=1).tolist()
    for lap, (is_finite, losses) in enumerate(zip(finite, known, strict=True)):
        epoch = epochs + lap + 1
        is_known = losses is not None or epoch % plan.eval_every != 0
        if not is_finite or not is_known or epoch == plan.epochs:
            return lap
        if losses and not all(map(math.isfinite, losses.train)):
            return lap
    return len(finite)


def _known(problem: Problem, plan: Plan, done: int, call: _Call) -> Iterator[Losses | None]:
    """The losses after each lap, or None where they aren't due.

    Several are evaluated at once, where that can be done.
    """
    an_epoch = plan.updates_per_epoch(problem.data.rows)
    laps, updates, _ = call.losses.shape
    epochs = [divmod(done + (lap + 1) * updates, an_epoch) for lap in range(laps)]
    due = [
        not rest and (epoch % plan.eval_every == 0 or epoch == plan.epochs)
        for epoch, rest in epochs
    ]
    together = evaluated_together(problem, len(plan.lanes))
    left = list(compress(range(laps), due))
    found: list[Losses] = []
    for is_due in due:
        if is_due and together > 1 and not found:
            group, left = left[:together], left[together:]
            found = evaluate_together(problem, [tensor[group] for tensor in call.params])
            found.reverse()
        yield found.pop() if is_due and found else None
