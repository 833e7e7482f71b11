"""Many updates at a time, executed by a compiled program."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress

import torch
from torch import Tensor

from gdrun import stretches
from gdrun.batches import BLOCK_NUMBERS
from gdrun.blocks import Blocks
from gdrun.evaluation import evaluate_together, evaluated_together
from gdrun.inductor import Run
from gdrun.models import Problem
from gdrun.program import program_for
from gdrun.state import Plan, TrainState
from gdrun.stretches import Execute, Losses, Stretch, Weights
from gdrun.threads import threads_for

# Losses of a call, which the logs have to take before anybody is listened to.
MOST_LOSSES = 2**18
# Weights at ends of epochs that a call hands out (2 MB): new memory takes longer than they do.
ENDS_NUMBERS = 2**19
ONE_THREAD = 0  # multiply-adds: programs compute with one
GROWTH = 8  # how many times as many blocks the next call may have


@dataclass(frozen=True)
class _Call:
    """What a call of the program came to.

    Attributes:
        done: updates before it.
        losses: (U, R) those of the updates that counted.
        cuts: updates at the ends of epochs within, and at its own.
        params, velocity: (C, R, …) each, weights and buffers at these C cuts.
        seconds: what it took.
    """

    done: int
    losses: Tensor
    cuts: list[int]
    params: list[Tensor]
    velocity: list[Tensor]
    seconds: float


def compiled(run: Run) -> Execute:
    """Execute updates by what `program_for` the same problem and plan was compiled to."""
    return partial(_execute, run)


def _execute(run: Run, problem: Problem, plan: Plan, state: TrainState) -> Iterator[Stretch]:
    """The updates after a state, whose weights are replaced."""
    blocks = Blocks(problem, plan, program_for(problem, plan))
    done = state.updates
    if done == (state.epoch + 1) * blocks.an_epoch:
        yield from _by_epochs(blocks, _standing(state))
    stored = [blocks.program.store(tensor) for tensor in (*state.params, *state.velocity)]
    most = _most_blocks(blocks, stored)
    _warm_up(run, blocks, stored, done)
    number = blocks.fewest
    while done < blocks.total:
        call, stored = _call(run, blocks, stored, done, number)
        yield from _by_epochs(blocks, call)
        done += len(call.losses)
        in_time = int(stretches.SEGMENT_SECONDS * number / call.seconds)
        number = blocks.rounded(done, min(in_time, number * GROWTH, most))


def _call(
    run: Run, blocks: Blocks, stored: list[Tensor], done: int, number: int
) -> tuple[_Call, list[Tensor]]:
    """Go on from weights after so many updates for so many blocks; and the weights after that."""
    start = time.perf_counter()
    with threads_for(ONE_THREAD):
        inputs, counts = blocks.inputs(done, number)
        stored, losses, ends = _run(run, blocks, stored, inputs)
    seconds = time.perf_counter() - start
    losses = losses.flatten(0, 1)
    if not counts.all():
        losses = losses[counts]
    cuts, weights = _cut(blocks, done, done + len(losses), stored, ends)
    layers = len(blocks.problem.network.sizes) - 1
    params, velocity = weights[: 2 * layers], weights[2 * layers :]
    return _Call(done, losses, cuts, params, velocity, seconds), stored


def _cut(
    blocks: Blocks, done: int, last: int, stored: list[Tensor], ends: list[Tensor]
) -> tuple[list[int], list[Tensor]]:
    """The ends of epochs within a call and its own end, and the weights there, (C, R, …) each.

    It went on after `done` updates, to the `last`; `stored` are the weights after it, `ends` those
    that its blocks handed out, (S, E, …) each.
    """
    recall, an_epoch = blocks.program.recall, blocks.an_epoch
    cuts = [*range((done // an_epoch + 1) * an_epoch, last + 1, an_epoch)] if ends else []
    at = [blocks.end_of(cut // an_epoch) for cut in cuts]
    block, which = [number - blocks.first(done) for number, _ in at], [end for _, end in at]
    weights = [recall(tensor)[block, which] for tensor in ends]
    if cuts[-1:] != [last]:
        cuts.append(last)
        own = [recall(tensor).unsqueeze(0) for tensor in stored]
        weights = [torch.cat(pair) for pair in zip(weights, own, strict=True)] if ends else own
    return cuts, [tensor.contiguous() for tensor in weights]


def _run(
    run: Run, blocks: Blocks, stored: list[Tensor], inputs: list[Tensor]
) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    """Weights and buffers after blocks, losses (S, K, R), and both at the ends of epochs."""
    lr = blocks.plan.rates(torch.device("cpu"))
    found = run([*stored, lr, *inputs])
    return found[: len(stored)], found[len(stored)], found[len(stored) + 1 :]


def _standing(state: TrainState) -> _Call:
    """What a call came to that ended where a state is."""
    params, velocity = (
        [tensor.unsqueeze(0) for tensor in each] for each in (state.params, state.velocity)
    )
    losses = torch.empty(0, len(state.diverged_at))
    return _Call(state.updates, losses, [state.updates], params, velocity, 0.0)


def _warm_up(run: Run, blocks: Blocks, stored: list[Tensor], done: int) -> None:
    """Take blocks that don't count, so that those that are timed don't pay for the start."""
    with threads_for(ONE_THREAD):
        *inputs, counts = blocks.inputs(done, blocks.fewest)[0]
        _run(run, blocks, stored, [*inputs, torch.zeros_like(counts)])


def _most_blocks(blocks: Blocks, stored: Sequence[Tensor]) -> int:
    """How many blocks a call may have by what it takes of memory, and gives to log."""
    own, data = blocks.program, blocks.problem.data
    columns = data.x.shape[1] + data.y.shape[1]
    rows = own.updates * own.batch_size * (1 if own.shared else own.lanes) * columns
    rows = 1 if own.constant else rows
    ends = len(own.ends) * sum(tensor.numel() for tensor in stored)
    in_memory = min(BLOCK_NUMBERS // rows, ENDS_NUMBERS // max(1, ends))
    return min(in_memory, MOST_LOSSES // (own.updates * own.lanes))


def _by_epochs(blocks: Blocks, call: _Call) -> Iterator[Stretch]:
    """What a call came to, epoch by epoch."""
    params = zip(*(tensor.unbind() for tensor in call.params), strict=True)
    buffers = zip(*(tensor.unbind() for tensor in call.velocity), strict=True)
    done = call.done
    for cut, known in zip(call.cuts, _known(blocks, call), strict=True):
        losses = call.losses[done - call.done : cut - call.done]
        seconds = call.seconds * len(losses) / max(1, len(call.losses))
        yield Stretch(losses, Weights(next(params), next(buffers, ())), seconds, known)
        done = cut


def _known(blocks: Blocks, call: _Call) -> Iterator[Losses | None]:
    """The losses at the cuts of a call, or None where they aren't due.

    Several are evaluated at once, where that can be done.
    """
    plan, an_epoch = blocks.plan, blocks.an_epoch
    due = [
        cut % an_epoch == 0 and (cut // an_epoch % plan.eval_every == 0 or cut == blocks.total)
        for cut in call.cuts
    ]
    together = evaluated_together(blocks.problem, len(plan.lanes))
    left = list(compress(range(len(due)), due))
    found: list[Losses] = []
    for is_due in due:
        if is_due and together > 1 and not found:
            group, left = left[:together], left[together:]
            found = evaluate_together(blocks.problem, [tensor[group] for tensor in call.params])
            found.reverse()
        yield found.pop() if is_due and found else None
