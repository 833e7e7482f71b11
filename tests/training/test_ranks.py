"""Several processes train as one does: lanes are divided among them, or the rows of each batch."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch

from gdrun.config.timing import Timing
from gdrun.results.events import Lane
from gdrun.training import batches, graphs
from gdrun.training.evaluate import evaluate_all
from gdrun.training.loop import train
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.ranks import Division, Pace, Ranks
from gdrun.training.shares import own_share, whole_state
from gdrun.training.state import Plan, TrainState, initial_state
from tests.problems import OPTIMIZERS, make_problem
from tests.ranks import RankPool
from tests.training.recorder import ProcessorRecorder

OFTEN = Timing(segment=1e-4)  # portions of few updates, whose ends all ranks have to agree on


@pytest.fixture(scope="module", params=[2, 3])
def pool(request: pytest.FixtureRequest) -> Iterator[RankPool]:
    """Two ranks, then three."""
    started = RankPool(request.param)
    yield started
    started.close()


def held_out(rows: int = 23, features: int = 3) -> Any:
    """A problem with validation rows."""
    problem = make_problem(rows + 5, features)
    data = problem.data
    parts: dict[str, Any] = {
        "x": data.x[5:],
        "y": data.y[5:],
        "x_val": data.x[:5],
        "y_val": data.y[:5],
    }
    return replace(problem, data=replace(data, **parts))


def trained(ranks: Ranks, problem: Any, plan: Plan, until: int | None = None) -> Any:
    """The losses of all updates, what was evaluated, and the last state, of all lanes."""
    plan = replace(plan, ranks=ranks)
    state = own_share(plan, initial_state(problem, replace(plan, ranks=Ranks())))
    losses, ends = _follow(problem, plan, state, until)
    return losses, ends, whole_state(plan, state)


def _follow(problem: Any, plan: Plan, state: TrainState, until: int | None = None) -> Any:
    losses: list[list[float]] = [[] for _ in plan.lanes]
    ends: list[float] = []
    for segment in train(problem, plan, state, timing=OFTEN):
        for own, more in zip(losses, segment.losses, strict=False):
            own += more
        ends += segment.train_loss or ()
        for table in (segment.ends.train_loss, segment.ends.val_loss) if segment.ends else ():
            ends += [number for row in table for number in row if number is not None]
        if until is not None and any(plan.ranks.any(state.updates >= until)):
            break
    return losses, ends


def assert_same(found: Any, expected: Any, rtol: float) -> None:
    """The losses and states of trainings, to a relative difference."""
    near: dict[str, Any] = {"rtol": rtol, "atol": rtol, "equal_nan": True}
    for one, other in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(torch.tensor(one), torch.tensor(other), **near)
    states = found[2], expected[2]
    for kind in ("params", "buffers"):
        tensors = [torch.utils._pytree.tree_leaves(getattr(state, kind)) for state in states]
        for a, b in zip(*tensors, strict=True):
            torch.testing.assert_close(a, b, **near)
    assert states[0].updates == states[1].updates
    assert states[0].samples == states[1].samples
    assert states[0].diverged_at == states[1].diverged_at
    assert states[0].best.epochs == states[1].best.epochs
    for a, b in zip(states[0].best.params, states[1].best.params, strict=True):
        torch.testing.assert_close(a, b, **near)


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 23])
@pytest.mark.parametrize("sampling", ["sequential", "reshuffle", "replacement"])
def test_ranks_train_as_one_process(
    pool: RankPool, lanes: int, batch_size: int, sampling: Any
) -> None:
    problem = held_out()
    plan = Plan(
        tuple(Lane(0.02 + 0.01 * k, k) for k in range(lanes)),
        batch_size,
        4,
        sampling,
        optimizer=SGD(momentum=0.5),
        eval_growth=0.5,
    )
    alone = trained(Ranks(), problem, plan)
    for found in pool.run(trained, problem, plan):
        assert_same(found, alone, rtol=1e-5)


@pytest.mark.parametrize("lanes", [1, 5])
@pytest.mark.parametrize("chunk_rows", [1, 3, 7])
def test_large_batches_in_chunks_are_divided_alike(
    pool: RankPool, lanes: int, chunk_rows: int
) -> None:
    problem = replace(held_out(rows=26), chunk_rows=chunk_rows)
    plan = Plan(tuple(Lane(0.02, k) for k in range(lanes)), 11, 4)
    alone = trained(Ranks(), problem, plan)
    for found in pool.run(trained, problem, plan):
        assert_same(found, alone, rtol=1e-5)


def recorded(ranks: Ranks, problem: Any, plan: Plan) -> Any:
    """A training by recorded updates, of which so many are a graph as two lanes or three allow."""
    recorders = {"cpu": ProcessorRecorder()}
    with patch.dict(graphs.RECORDERS, recorders), patch.object(batches, "BLOCK_NUMBERS", 50):
        return *trained(ranks, problem, plan), recorders["cpu"].replays


@pytest.mark.parametrize("lanes", [1, 5])
def test_ranks_with_different_lanes_record_as_many_updates(pool: RankPool, lanes: int) -> None:
    problem = held_out()
    rates = tuple(Lane(0.02, k) for k in range(lanes))
    plan = Plan(rates, 2, 9, optimizer=OPTIMIZERS["adam"], eval_growth=0.5)
    alone = trained(Ranks(), problem, plan)
    replays = set()
    for found in pool.run(recorded, problem, plan):
        assert_same(found[:3], alone, rtol=1e-4)
        replays.add(found[3])
    (replayed,) = replays
    assert bool(replayed) == (lanes > 1)  # rows that are divided aren't recorded


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ranks_train_with_every_optimizer(pool: RankPool, lanes: int, name: str) -> None:
    problem = held_out()
    rates = tuple(Lane(0.01, k) for k in range(lanes))
    plan = Plan(rates, 5, 3, optimizer=OPTIMIZERS[name], drop_last=lanes > 1)
    alone = trained(Ranks(), problem, plan)
    for found in pool.run(trained, problem, plan):
        assert_same(found, alone, rtol=1e-4)


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_training_is_the_same_to_the_bit_again(pool: RankPool, lanes: int) -> None:
    problem = held_out()
    plan = Plan(tuple(Lane(0.05, k) for k in range(lanes)), 5, 5, optimizer=OPTIMIZERS["adam"])
    first, second = pool.run(trained, problem, plan), pool.run(trained, problem, plan)
    for one, other in zip(first, second, strict=True):
        assert_same(one, other, rtol=0)
    for other in first[1:]:
        assert_same(first[0], other, rtol=0)


def stopped(ranks: Ranks, problem: Any, plan: Plan, until: int) -> Any:
    """A training that was stopped after some updates, and went on from the state of all lanes."""
    losses, ends, whole = trained(ranks, problem, plan, until)
    plan = replace(plan, ranks=ranks)
    state = own_share(plan, whole)
    more, later = _follow(problem, plan, state)
    both = [own + new for own, new in zip(losses, more, strict=True)]
    return both, ends + later, whole_state(plan, state)


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_training_that_was_stopped_goes_on_to_the_bit(pool: RankPool, lanes: int) -> None:
    problem = held_out()
    plan = Plan(tuple(Lane(0.05, k) for k in range(lanes)), 5, 6, optimizer=SGD(momentum=0.9))
    straight = pool.run(trained, problem, plan)
    for found, expected in zip(pool.run(stopped, problem, plan, 8), straight, strict=True):
        assert_same(found, expected, rtol=0)


@pytest.mark.parametrize("lanes", [1, 4])
def test_lanes_that_diverge_or_lose_patience_do_so_on_all_ranks(pool: RankPool, lanes: int) -> None:
    problem = held_out()
    rates = (1e6, 0.05, 0.3, 0.1)[:lanes]
    plan = Plan(tuple(Lane(lr, 1) for lr in rates), 5, 30, patience=2)
    alone = trained(Ranks(), problem, plan)
    for found in pool.run(trained, problem, plan):
        assert found[2].diverged_at == alone[2].diverged_at
        assert found[2].best.stopped_at == alone[2].best.stopped_at
    assert alone[2].diverged_at[0] is not None


def evaluated(ranks: Ranks, problem: Any, lanes: int) -> Any:
    """All losses, and how many pulses there were on the way."""
    division = Division(lanes, ranks)
    whole = problem.model.init(range(lanes))
    pulses = evaluate_all(problem, division, tuple(p[division.own] for p in whole), int, 0.0)
    counted = 0
    while True:
        try:
            next(pulses)
            counted += 1
        except StopIteration as end:
            return counted, end.value


@pytest.mark.parametrize("lanes", [1, 5])
def test_an_evaluation_in_chunks_pulses_alike_on_all_ranks(pool: RankPool, lanes: int) -> None:
    problem = replace(held_out(rows=95), chunk_rows=10)
    _, alone = evaluated(Ranks(), problem, lanes)
    found = pool.run(evaluated, problem, lanes)
    assert len({pulses for pulses, _ in found}) == 1
    for _, losses in found:
        torch.testing.assert_close(losses.train, alone.train)
        torch.testing.assert_close(losses.val, alone.val)


@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.parametrize("count", [0, 1, 2, 5, 100, 101])
def test_shares_are_everything_once_and_even(size: int, count: int) -> None:
    shares = [range(count)[Ranks(size, rank).own(count)] for rank in range(size)]
    assert [k for share in shares for k in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert max(map(len, shares)) == Ranks(size).most(count)


def portions(ranks: Ranks) -> list[int]:
    """After which steps portions of work end; each rank takes longer than the one before it."""
    pace, found = Pace(ranks, 0.004), []
    for step in range(60):
        time.sleep(0.0005 * (1 + ranks.rank))
        if pace.is_over():
            found.append(step)
            pace.begin()
    return found


def test_portions_end_after_the_same_step_on_all_ranks(pool: RankPool) -> None:
    first, *others = pool.run(portions)
    assert len(first) > 1
    assert all(found == first for found in others)


def test_one_rank_looks_at_the_clock_after_every_step() -> None:
    pace = Pace(Ranks(), 0.0)
    assert [pace.is_over() for _ in range(3)] == [True] * 3
    pace = Pace(Ranks(), 60.0)
    assert not any(pace.is_over() for _ in range(100))
