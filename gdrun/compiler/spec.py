"""What a compiled program depends on: the specification of a plan's program."""

from dataclasses import dataclass

import torch

from gdrun.compiler.writer import WIDE
from gdrun.training.losses.loss import Loss
from gdrun.training.losses.own import OwnLoss
from gdrun.training.models.model import Model
from gdrun.training.models.own import OwnNetwork
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.problem import Problem
from gdrun.training.state import Plan

# Floats in a vector register, by PyTorch's name for the processor's capability.
WIDTHS = {"AVX512": 16, "AVX2": 8}
OTHER_WIDTH = 4
# Vectors of lanes are faster than vectors of units up to this many units in a layer.
MAX_UNITS_FOR_LANES = 64
# Activations of all lanes of a vector while a chunk of a batch goes through the network. More are
# allowed where there are more weights than that, since their gradients are added after each chunk.
CHUNK_ACTIVATIONS = 2**12
MAX_ACTIVATIONS = 2**26  # where the config sets the rows of a chunk
# Threads share an update of wide layers from so many products of a weight and a row on: less takes
# one of them 20 µs, and waiting for each other some. They wait in each chunk, so that it is larger.
SHARED_WORK = 1_000_000
SHARED_ACTIVATIONS = 2**16
MANY_CHUNKS = 64  # a batch of so many is cut into slices, of which each thread computes some
ROUND = 4  # chunks are multiples of the rows whose sums are in registers together


@dataclass(frozen=True)
class ProgramSpec:
    """Everything about an update that its program depends on.

    Attributes:
        model, loss: what is minimised.
        targets: columns of the target.
        optimizer: how a gradient moves the weights.
        factors: numbers of each update that depend on the time alone.
        rows: rows of the largest chunk; a larger batch goes through the network in chunks.
        chunks: all sizes of chunks, in rows.
        lanes: lanes that are computed together, as one vector; 1: vectors are of units.
        width: floats in a vector register.
        shared: whether threads share the loops of an update.
    """

    model: Model
    loss: Loss
    targets: int
    optimizer: Optimizer
    factors: int
    rows: int
    chunks: tuple[int, ...]
    lanes: int
    width: int
    shared: bool = False

    @property
    def has_own_code(self) -> bool:
        """Whether functions of the user's are part of it, which may have any operation."""
        return isinstance(self.model, OwnNetwork) or isinstance(self.loss, OwnLoss)


def spec_for(problem: Problem, plan: Plan) -> ProgramSpec:
    """The specification of the program that executes a plan's updates."""
    model = problem.model
    width = WIDTHS.get(torch.backends.cpu.get_cpu_capability(), OTHER_WIDTH)
    # A vector of lanes costs little more than one of them.
    together = 2 * len(plan.own_lanes) > width and model.widest <= MAX_UNITS_FOR_LANES
    lanes = width if together else 1
    rows = _chunk_rows(problem, plan.batch_size, lanes, CHUNK_ACTIVATIONS)
    shared = (
        plan.batch_size < MANY_CHUNKS * rows and len(plan.own_lanes) == 1 and model.widest >= WIDE
    )
    if shared:
        larger = _chunk_rows(problem, plan.batch_size, lanes, SHARED_ACTIVATIONS)
        shared = model.parameters * larger >= SHARED_WORK
        rows = larger if shared else rows
    factors = plan.factors(range(1, 2), problem.data.rows)
    batches = {plan.batch_size, plan.last_batch(problem.data.rows)}
    chunks = {chunk for batch in batches for chunk in (min(batch, rows), batch % rows) if chunk}
    return ProgramSpec(
        model=model,
        loss=problem.loss,
        targets=problem.data.y.shape[1],
        optimizer=plan.optimizer,
        factors=0 if factors is None else factors.shape[1],
        rows=rows,
        chunks=tuple(sorted(chunks)),
        lanes=lanes,
        width=width,
        shared=shared,
    )


def _chunk_rows(problem: Problem, batch: int, lanes: int, least: int) -> int:
    """How many rows go through the network at a time: as the config says, or what is fastest.

    These have at least so many activations.
    """
    activations_per_row = lanes * problem.model.activations
    if problem.chunk_rows:
        return min(batch, problem.chunk_rows, max(1, MAX_ACTIVATIONS // activations_per_row))
    activations = max(least, lanes * problem.model.parameters)
    most = _ceil(activations, activations_per_row * ROUND) * ROUND
    equal = _ceil(batch, _ceil(batch, most))  # chunks of about the same size
    return min(batch, _ceil(equal, ROUND) * ROUND)


def _ceil(a: int, b: int) -> int:
    """⌈a / b⌉."""
    return -(-a // b)
