"""A block of updates as one program: what it depends on, and the graph that is compiled.

The updates are those of `gdrun.sgd`, traced: what is compiled is written nowhere else.

Shapes: R lanes, B batch rows, D features, O outputs, K updates of a block, S blocks of a call, E
ends of epochs in a block.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from gdrun.batches import chunks
from gdrun.models import Network, Params, Problem, mean_losses
from gdrun.sgd import Rule, make_step
from gdrun.state import Plan

# Blocks of more updates copy less between them, and take longer to compile. By the multiply-adds
# of an update: twenty of the smallest, one of the largest.
MOST_UPDATES = 20
SMALL_WORK = 32
# Where weights are more, and an epoch has many blocks, they aren't handed out after each.
MUCH_TO_HAND_OUT, MANY_BLOCKS = 4096, 16
# Up to so many multiply-adds of a lane, products are written out as sums, which the compiler fuses
# with what comes before and after; above, libraries are faster.
WRITTEN_OUT_WORK = 200_000
# From so many lanes on they are the innermost axis in memory, so that all sums over rows and units
# are vector additions.
MANY_LANES = 64


@dataclass(frozen=True)
class Program:
    """Everything that a compiled block of updates depends on.

    Attributes:
        network, loss_name: what is minimised.
        rule: how a gradient moves the weights.
        lanes, batch_size: R and B.
        chunk: how many rows of a batch go through the network at a time.
        updates: K.
        ends: after which updates of the block (from 1) its weights are handed out: at the ends of
            epochs. None, where epochs are long and weights many: calls then end with the epoch.
        shared: whether all lanes see the same rows.
        constant: whether all updates see the same rows, too.
        ragged: whether a batch may have fewer rows than others.
    """

    network: Network
    loss_name: str
    rule: Rule
    lanes: int
    batch_size: int
    chunk: int
    updates: int
    ends: tuple[int, ...]
    shared: bool
    constant: bool
    ragged: bool

    @property
    def lanes_last(self) -> bool:
        """Whether the lanes are the innermost axis in memory."""
        return self.lanes >= MANY_LANES and self.batch_size > 1 and self.written_out

    @property
    def written_out(self) -> bool:
        """Whether products of matrices are written out as sums."""
        return self.batch_size * self.network.parameters <= WRITTEN_OUT_WORK

    def store(self, tensor: Tensor) -> Tensor:
        """Per-lane tensors (…, R, a, b) as the program has them in memory."""
        return tensor.movedim(-3, -1).contiguous() if self.lanes_last else tensor.contiguous()

    def recall(self, tensor: Tensor) -> Tensor:
        """The inverse of `store`: (…, R, a, b)."""
        return tensor.movedim(-1, -3) if self.lanes_last else tensor


def program_for(problem: Problem, plan: Plan) -> Program:
    """The program that executes a plan's updates."""
    rows, lanes = problem.data.rows, len(plan.lanes)
    an_epoch = plan.updates_per_epoch(rows)
    most = most_updates(lanes * plan.batch_size * problem.network.parameters)
    if an_epoch < most:  # whole epochs
        epochs = most // an_epoch
        updates = epochs * an_epoch
        ends = tuple(range(an_epoch, updates + 1, an_epoch))
    else:  # of blocks as many as are needed anyway, with as few updates left out as can be
        updates = -(-an_epoch // -(-an_epoch // most))
        large = lanes * problem.network.parameters > MUCH_TO_HAND_OUT
        ends = () if large and an_epoch // updates >= MANY_BLOCKS else (updates,)
    program = Program(
        network=problem.network,
        loss_name=problem.loss_name,
        rule=plan.rule,
        lanes=lanes,
        batch_size=plan.batch_size,
        chunk=min(plan.batch_size, problem.rows_at_once(lanes)),
        updates=updates,
        ends=ends,
        shared=plan.sampling == "sequential",
        constant=plan.sampling == "sequential" and an_epoch == 1,
        ragged=not plan.drop_last and rows % plan.batch_size != 0,
    )
    # Numbers that are the same in all lanes would be read one by one beside those that aren't.
    return replace(program, shared=program.shared and not program.lanes_last)


def most_updates(work: int) -> int:
    """How many updates a block may have, by the multiply-adds of one."""
    return max(1, min(MOST_UPDATES, int(MOST_UPDATES * (SMALL_WORK / work) ** 0.25)))


def block(program: Program) -> Callable[..., Any]:
    """The updates of a block as a function of the state before and of the rows.

    It takes the weights and momentum buffers, the learning rates (R,), the rows ([K,] [R,] B, D)
    and ([K,] [R,] B, O), if ragged their weights in the mean (K, B), and whether each update counts
    (K,); it returns weights and buffers after the block, the losses (K, R), and weights and buffers
    at the `ends`. Updates that don't count leave everything as it is.
    """
    losses_of = partial(mean_losses, program.network, program.loss_name)

    def run(
        params: Params,
        velocity: Params,
        lr: Tensor,
        x: Tensor,
        y: Tensor,
        *more: Tensor,
    ) -> tuple[Any, ...]:
        *rows, counts = more
        params, velocity = (
            tuple(program.recall(t).clone() for t in tensors) for tensors in (params, velocity)
        )
        moved = (*params, *velocity)
        step = make_step(losses_of, program.rule, params, velocity, lr)
        losses: list[Tensor] = []
        ends: list[list[Tensor]] = []
        for k in range(program.updates):
            before = [tensor.clone() for tensor in moved]
            xk, yk = (t if program.constant else t[k] for t in (x, y))
            own = rows[0][k] if program.ragged else None
            for start, stop, share, completes in chunks(0, program.batch_size, program.chunk):
                piece = slice(start, stop)
                xs, ys = _batch(program, xk, piece), _batch(program, yk, piece)
                if own is None:
                    loss = step(xs, ys, share, completes)
                else:  # weighted by what they are of the batch already
                    loss = step(xs, ys, 1.0, completes, own[piece])
            assert loss is not None  # the last piece completes the batch
            losses.append(loss)
            for tensor, old in zip(moved, before, strict=True):
                tensor.copy_(torch.where(counts[k], tensor, old))
            if k + 1 in program.ends:
                ends.append([tensor.clone() for tensor in moved])
        ended = [torch.stack([program.store(t) for t in each]) for each in zip(*ends, strict=True)]
        return [program.store(tensor) for tensor in moved], torch.stack(losses), ended

    return run


def _batch(program: Program, values: Tensor, piece: slice) -> Tensor:
    """Rows of a batch as each lane sees them, (R, B, …)."""
    if program.shared:
        return values[piece].expand(program.lanes, -1, -1)
    return program.recall(values)[:, piece]


def example(program: Program, blocks: int) -> tuple[Any, ...]:
    """Arguments of the compiled program: S blocks that begin with any weights."""
    sizes = program.network.sizes
    params = tuple(
        program.store(torch.zeros(program.lanes, *shape))
        for inputs, outputs in pairwise(sizes)
        for shape in ((inputs, outputs), (1, outputs))
    )
    velocity = tuple(map(torch.zeros_like, params)) if program.rule.momentum else ()
    lead = (blocks, program.updates)
    across = () if program.shared else (program.lanes,)
    x, y = (
        torch.zeros(*lead, *across, program.batch_size, width) for width in (sizes[0], sizes[-1])
    )
    if not program.shared:
        x, y = program.store(x), program.store(y)
    if program.constant:
        x, y = x[0, 0], y[0, 0]
    weights = [torch.full((*lead, program.batch_size), 1 / program.batch_size)]
    more = (*(weights if program.ragged else []), torch.ones(lead) > 0)
    return params, velocity, torch.ones(program.lanes), x, y, *more


def traced(program: Program) -> torch.nn.Module:
    """The graph of a block: no autograd left in it, nothing moved in place."""
    from torch.func import functionalize
    from torch.fx.experimental.proxy_tensor import make_fx

    params, velocity, lr, x, y, *more = example(program, blocks=1)
    own = (x, y) if program.constant else (x[0], y[0])
    arguments = params, velocity, lr, *own, *(each[0] for each in more)
    with_autograd = make_fx(block(program))(*arguments)
    graph = make_fx(functionalize(with_autograd), decomposition_table=_written_out(program))(
        *arguments
    )
    _leave_out_copies(graph.graph)
    graph.recompile()
    return graph


def _leave_out_copies(graph: torch.fx.Graph) -> None:
    """Read what was copied where the copy was read: nothing is moved in place any more."""
    aten = torch.ops.aten
    copied = {aten.detach.default: 0, aten.clone.default: 0, aten.copy.default: 1}
    for node in graph.nodes:
        if node.target in copied:
            node.replace_all_uses_with(node.args[copied[node.target]])
    graph.eliminate_dead_code()


def _written_out(program: Program) -> dict[Any, Callable[..., Any]]:
    """What some operations are made of, where the compiler does better with that."""
    aten = torch.ops.aten

    def addcmul(
        sums: list[Tensor], a: list[Tensor], b: list[Tensor], value: float = 1
    ) -> list[Tensor]:
        return [s + value * p * q for s, p, q in zip(sums, a, b, strict=True)]

    def bmm(a: Tensor, b: Tensor) -> Tensor:
        if program.lanes_last:
            a, b = a.permute(1, 2, 0), b.permute(1, 2, 0)
            return (a.unsqueeze(2) * b.unsqueeze(0)).sum(1).permute(2, 0, 1)
        return (a.unsqueeze(-1) * b.unsqueeze(1)).sum(2)

    def baddbmm(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return bmm(a, b) + c

    table: dict[Any, Callable[..., Any]] = {aten._foreach_addcmul.Scalar: addcmul}
    if program.written_out:
        table |= {aten.bmm.default: bmm, aten.baddbmm.default: baddbmm}
    return table
