"""Many updates at a time, executed by a compiled program.

A call executes a block: U updates in each of E epochs, or in a part of one. Shapes: R lanes, padded
to C groups of G that are computed together; P weights and biases of a lane.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.compiler import program_cache
from gdrun.compiler.epoch_blocks import EpochBlock, EpochBlocks
from gdrun.compiler.program_cache import Program, UpdateArguments
from gdrun.compiler.spec import ProgramSpec, spec_for
from gdrun.compiler.thread_choice import ThreadChoice
from gdrun.compiler.writer import BLOCK
from gdrun.config.schema import Engine
from gdrun.errors import OutputError
from gdrun.training.backend import Backend, Updates
from gdrun.training.computing import SPLIT_WORK, threads_for
from gdrun.training.eager import EAGER
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState

# Losses of a call: all of them are logged before a request to stop is noticed.
MAX_LOSSES = 2**18
# Features of the rows that a call visits, and weights that it returns.
MAX_FEATURES, MAX_WEIGHTS = 2**20, 2**21
# Updates and multiply-adds of the first call, whose speed isn't known yet; and how many times as
# many updates the next call may have.
FIRST, FIRST_WORK, GROWTH = 64, 100_000_000, 8
# Of a call that finds out how many threads are faster: they have found their cores by then.
TRIAL_SECONDS = 0.02


@dataclass(frozen=True)
class _Layout:
    """How the weights of all lanes lie in a program's memory: (C, P, G).

    Attributes:
        lanes: R.
        group: G.
        shapes: of the weights and biases of one lane.
    """

    lanes: int
    group: int
    shapes: tuple[torch.Size, ...]

    @property
    def padded_lanes(self) -> int:
        """C times G."""
        return -(-self.lanes // self.group) * self.group

    def pad(self, rows: Tensor) -> Tensor:
        """(R, …) → (C·G, …), by copies of the last lane."""
        missing = self.padded_lanes - self.lanes
        return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])

    def pack(self, tensors: Params) -> Tensor:
        """(R, …) each → (C, P, G)."""
        rows = self.pad(torch.cat([tensor.flatten(1) for tensor in tensors], dim=1))
        return rows.view(-1, self.group, rows.shape[1]).transpose(1, 2).contiguous()

    def pack_all(self, buffers: Sequence[Params]) -> Tensor:
        """K times (R, …) each → (C, K, P, G)."""
        if not buffers:
            return torch.empty(self.padded_lanes // self.group, 0, 0, self.group)
        return torch.stack([self.pack(buffer) for buffer in buffers], dim=1)

    def unpack(self, packed: Tensor) -> list[Tensor]:
        """(E, C, P, G) → (E, R, …) each, copies."""
        rows = packed.transpose(2, 3).flatten(1, 2)[:, : self.lanes]
        parts = torch.split(rows, [shape.numel() for shape in self.shapes], dim=2)
        shaped = zip(parts, self.shapes, strict=True)
        return [part.reshape(*part.shape[:2], *shape).clone() for part, shape in shaped]


def _execute(
    problem: Problem, plan: Plan, state: TrainState, report_seconds: float
) -> Iterator[Updates]:
    """The updates that follow a state, a call of the program each; the state isn't moved.

    The program is looked up when the first update is requested: a run whose updates are all taken
    needs none.

    Raises:
        OutputError: it isn't in the cache, and can't be built.
    """
    calls = _Calls(_program(spec_for(problem, plan)), problem, plan, state)
    ranks = plan.division.by_lanes  # all of them execute the same blocks
    limits = calls.most_ends, calls.most, calls.first if report_seconds else 1
    most_ends, most, updates = (int(min(ranks.numbers(limit))) for limit in limits)
    done, pace = state.updates, math.inf  # updates a second
    while done < plan.epochs * plan.updates_per_epoch(problem.data.rows):
        # Of several ranks, whose blocks are the same, none has trials of its own length.
        is_short = calls.is_trial and ranks.size == 1
        wanted = max(1, int(min(updates, TRIAL_SECONDS * pace))) if is_short else updates
        block = calls.blocks.after(done, wanted, most_ends)
        threads = calls.threads(block)
        with threads_for(1):  # PyTorch's own would keep waiting for work, in the program's way
            executed = calls.execute(block, threads)
        taken = block.epochs * block.updates
        yield executed
        done += taken
        pace = taken / max(ranks.numbers(executed.seconds))
        updates = max(1, min(int(report_seconds * pace), updates * GROWTH, most))


def _program(spec: ProgramSpec) -> Program:
    """The program, built again if it is gone from the cache."""
    if program := program_cache.find(spec):
        return program
    failures = program_cache.build([spec], lambda: False)
    if program := program_cache.find(spec):
        return program
    why = failures.get(spec, "it can't be loaded")
    raise OutputError(
        f"engine: the compiled program is gone from the cache, and not built again: {why}",
        "engine: eager executes the updates one by one",
    )


COMPILED = Backend(_execute, stacks_epochs=True)
# `auto` is chosen before a run is trained; where nobody has chosen, updates go one by one.
BACKENDS: dict[Engine, Backend] = {"auto": EAGER, "eager": EAGER, "compiled": COMPILED}


class _Calls:
    """Successive calls of a program, which holds the weights between them."""

    def __init__(self, program: Program, problem: Problem, plan: Plan, state: TrainState) -> None:
        self.blocks = EpochBlocks(problem.data, plan)
        self._program, self._plan = program, plan
        # Of a layer's units each thread has a block or more.
        most = min(torch.get_num_threads(), problem.model.widest // BLOCK)
        self._choice = ThreadChoice(most) if program.spec.shared else None
        shapes = tuple(tensor.shape[1:] for tensor in state.params)
        self._layout = _Layout(len(plan.own_lanes), program.spec.lanes, shapes)
        self._weights = self._layout.pack(state.params)
        self._optimizer_buffers = self._layout.pack_all(state.buffers)
        self._lr = self._layout.pad(plan.learning_rates(torch.device("cpu")))
        self._buffers: dict[str, Tensor] = {}

    @property
    def most(self) -> int:
        """The most updates of a call, by the memory that it takes and the losses to be logged."""
        data, plan, lanes = self.blocks.data, self._plan, self._layout.padded_lanes
        by_weights = self.most_ends * plan.updates_per_epoch(data.rows)
        by_rows = MAX_FEATURES // (lanes * plan.batch_size * max(1, data.x.shape[1]))
        return max(1, min(by_weights, by_rows, MAX_LOSSES // lanes))

    @property
    def most_ends(self) -> int:
        """How often a call may return weights, by the memory that these take."""
        return max(1, MAX_WEIGHTS // self._weights.numel())

    @property
    def first(self) -> int:
        """The updates of the first call: few, so that it returns soon."""
        return max(1, min(FIRST, FIRST_WORK // self._work, self.most))

    @property
    def _work(self) -> int:
        """Multiply-adds of an update, about."""
        return self._weights.numel() * self._plan.batch_size

    def execute(self, block: EpochBlock, threads: int) -> Updates:
        """Execute the updates of a block."""
        start = time.perf_counter()
        x, y, indices = self.blocks.rows(block)
        losses = self._buffer("losses", block.epochs, block.updates, self._layout.padded_lanes)
        ends = torch.tensor(block.ends)
        weights = self._buffer("weights", len(ends), *self._weights.shape)
        buffers = self._buffer("buffers", len(ends), *self._optimizer_buffers.shape)
        first = block.first_update
        factors = self._plan.factors(
            range(first, first + block.epochs * block.updates), self.blocks.data.rows
        )
        self._program.execute(
            UpdateArguments(
                epochs=block.epochs,
                updates=block.updates,
                ends=_pointer(ends),
                batch=self._plan.batch_size,
                last_batch=block.last_batch,
                padded_lanes=self._layout.padded_lanes,
                index_lanes=self._layout.lanes,
                threads=threads,
                x=_pointer(x),
                y=_pointer(y),
                indices=_pointer(indices),
                weights=_pointer(self._weights),
                buffers=_pointer(self._optimizer_buffers),
                lr=_pointer(self._lr),
                factors=_pointer(factors),
                losses=_pointer(losses),
                end_weights=_pointer(weights),
                end_buffers=_pointer(buffers),
            )
        )
        seconds = time.perf_counter() - start
        if self._choice and self._is_worth_sharing(block):
            self._choice.took(threads, block.epochs * block.updates, seconds)
        return Updates(
            losses[..., : self._layout.lanes].clone(),
            seconds,
            tuple(self._layout.unpack(weights)),
            tuple(tuple(self._layout.unpack(each)) for each in buffers.unbind(2)),
            block.ends,
        )

    @property
    def is_trial(self) -> bool:
        """Whether the next call finds out how many threads are faster."""
        return self._choice is not None and self._choice.is_trial

    def threads(self, block: EpochBlock) -> int:
        """As many as are faster, where starting them takes little of the time of a call."""
        if not self._is_worth_sharing(block):
            return 1
        return self._choice.threads if self._choice else torch.get_num_threads()

    def _is_worth_sharing(self, block: EpochBlock) -> bool:
        return block.epochs * block.updates * self._work >= SPLIT_WORK

    def _buffer(self, name: str, *shape: int) -> Tensor:
        """Memory that all calls use, since new memory takes longer to get than to fill."""
        size = torch.Size(shape).numel()
        if name not in self._buffers or self._buffers[name].numel() < size:
            self._buffers[name] = torch.empty(size)
        return self._buffers[name][:size].view(shape)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
