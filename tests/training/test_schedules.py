"""Schedules, against PyTorch's own and against closed forms.

Mean estimation, ℓ_i(θ) = ½(θ − x_i)²: with e = θ − mean, a full-batch update is e ← (1 − lr_t) e.
At batch 1 θ_t = (1 − lr_t) θ_(t−1) + lr_t x_t, which with lr_t = 1/t is the mean of x_1 … x_t.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    SequentialLR,
)

from gdrun.config.timing import Timing
from gdrun.results.events import Lane, Segment
from gdrun.results.rows.log_rows import SCHEDULED_LR
from gdrun.training.loop import train
from gdrun.training.optimizers.schedule import (
    CONSTANT,
    Cosine,
    Inverse,
    Linear,
    Schedule,
    Step,
)
from gdrun.training.problem import Problem
from gdrun.training.state import BLOCK, initial_state
from tests.compiler.compiled_runs import descend_compiled, told
from tests.problems import descend, make_plan, make_problem, perceptron_of, step_losses
from tests.training.test_against_torch import torch_network
from tests.training.test_known_answers import numbers_problem

ROWS, BATCH, EPOCHS = 24, 4, 10
TOTAL = EPOCHS * ROWS // BATCH  # 60 updates
WARM = 15  # of them
LANES = (Lane(0.05, 1), Lane(0.02, 2), Lane(0.1, 1))


def linear(optimizer: torch.optim.SGD, updates: int) -> LRScheduler:
    return LinearLR(optimizer, start_factor=1.0, end_factor=0.1, total_iters=updates)


def cosine(optimizer: torch.optim.SGD, updates: int) -> LRScheduler:
    return CosineAnnealingLR(optimizer, T_max=updates)


def step(optimizer: torch.optim.SGD, updates: int) -> LRScheduler:
    return MultiStepLR(optimizer, [math.ceil(updates * at) for at in (0.3, 0.75)], gamma=0.2)


def inverse(optimizer: torch.optim.SGD, updates: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda done: 1 / (1 + 7 * done / updates))


def constant(optimizer: torch.optim.SGD, updates: int) -> LRScheduler:  # noqa: ARG001
    return LambdaLR(optimizer, lambda _: 1.0)


Pair = tuple[Schedule, Callable[[torch.optim.SGD, int], LRScheduler]]
PAIRS: dict[str, Pair] = {
    "constant": (Schedule(), constant),
    "linear": (Linear(final=0.1), linear),
    "cosine": (Cosine(), cosine),
    "step": (Step(at=(0.3, 0.75), factor=0.2), step),
    "inverse": (Inverse(k=7.0), inverse),
}
SCHEDULES = [
    replace(schedule, warmup=warmup) for schedule, _ in PAIRS.values() for warmup in (0.0, 0.25)
]


def torch_losses(pair: Pair, warm: int, lane: Lane, problem: Problem) -> list[float]:
    """A plain loop over the rows in order, its learning rate set by PyTorch's schedulers."""
    x, y = problem.data.x[:], problem.data.y[:]
    network = torch_network(perceptron_of(problem), lane.seed)
    optimizer = torch.optim.SGD(network.parameters(), lane.lr, momentum=0.5)
    scheduler = pair[1](optimizer, TOTAL - warm)
    if warm:
        # It sets the rates of both schedulers when it is made, those of the first one last.
        rising = LinearLR(optimizer, 1 / warm, total_iters=warm - 1)
        scheduler = SequentialLR(optimizer, [rising, scheduler], [warm])
    losses = []
    for _ in range(EPOCHS):
        for rows in (slice(start, start + BATCH) for start in range(0, ROWS, BATCH)):
            loss = nn.MSELoss()(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    return losses


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("warm", [0, WARM])
@pytest.mark.parametrize("name", PAIRS)
def test_losses_are_those_of_torchs_schedulers(name: str, warm: int) -> None:
    schedule = replace(PAIRS[name][0], warmup=warm / TOTAL)
    problem = make_problem(ROWS, features=2)
    plan = make_plan(
        BATCH, EPOCHS, lanes=LANES, sampling="sequential", momentum=0.5, schedule=schedule
    )
    one_by_one, compiled = descend(problem, plan)[0], descend_compiled(problem, plan)[0]
    for place, lane in enumerate(LANES):
        expected = torch_losses(PAIRS[name], warm, lane, problem)
        assert len(expected) == TOTAL
        for segments in (one_by_one, compiled):
            assert step_losses(segments, place) == pytest.approx(expected, rel=2e-5, abs=1e-6)


@given(
    schedule=st.sampled_from(SCHEDULES),
    total=st.integers(1, 5000),
    start=st.integers(1, 5000),
    length=st.integers(1, 2 * BLOCK),
)
def test_a_factor_is_the_same_in_whichever_block_it_is_computed(
    schedule: Schedule, total: int, start: int, length: int
) -> None:
    def factors(first: int, end: int) -> torch.Tensor:
        return schedule.factors(torch.arange(first, end, dtype=torch.float64), total)

    whole = factors(1, 10_000)
    assert torch.equal(factors(start, start + length), whole[start - 1 : start - 1 + length])


@given(schedule=st.sampled_from(SCHEDULES), total=st.integers(1, 3000))
def test_rates_rise_to_the_lanes_own_and_are_never_zero(schedule: Schedule, total: int) -> None:
    numbers = torch.arange(1, total + 1, dtype=torch.float64)
    factors = schedule.factors(numbers, total)
    warm = numbers <= schedule.warmup * total
    torch.testing.assert_close(factors[warm], numbers[warm] / (schedule.warmup * total))
    assert (factors > 0).all()
    assert (factors <= 1).all()
    assert (factors[~warm].diff() <= 0).all()
    if not schedule.warmup:
        assert factors[0] == 1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_batch_sizes_see_the_same_factor_at_the_same_share(schedule: Schedule) -> None:
    def factors(total: int) -> torch.Tensor:
        return schedule.factors(torch.arange(1, total + 1, dtype=torch.float64), total)

    few, many = factors(120), factors(120 * 16)
    after = slice(int(schedule.warmup * 120), None)  # 1/(w T) apart before
    torch.testing.assert_close(few[after], many[::16][after], rtol=1e-12, atol=0)
    rising = slice(0, after.start)
    torch.testing.assert_close(few[rising], many[15::16][rising], rtol=1e-12, atol=0)


def test_numbers_may_be_as_large_as_they_are() -> None:
    numbers = torch.tensor([1.0, 2.0, 1e15], dtype=torch.float64)
    for schedule in SCHEDULES:
        factors = schedule.factors(numbers, 10**24)
        assert factors.isfinite().all()
        if not schedule.warmup:
            assert factors.tolist() == pytest.approx([1.0] * 3)
    steep = Step(at=(0.2, 0.4, 0.6), factor=1e300)
    factors = steep.factors(torch.arange(1, 6, dtype=torch.float64), 5)
    assert factors.tolist() == [1, 1e300, math.inf, math.inf, math.inf]


@pytest.mark.parametrize("warmup", ["0", "0.05", "0.1", "0.3"])
@pytest.mark.parametrize("at", ["0.1", "0.3", "0.5", "0.7", "0.9"])
def test_a_step_is_taken_at_its_share_whatever_is_rounded(warmup: str, at: str) -> None:
    share = Fraction(warmup) + (1 - Fraction(warmup)) * Fraction(at)
    for total in (100, 1000, 10_000, 123_457):
        numbers = torch.arange(1, total + 1, dtype=torch.float64)
        factors = Step(float(warmup), (float(at),), 0.1).factors(numbers, total)
        assert int((factors == 0.1).nonzero()[-1]) == total - 1
        done = math.ceil(share * total)  # updates, when the share is
        assert factors[done - 1] == 1
        assert factors[done] == 0.1


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("rows", [1, 7, 100, 1000])
@pytest.mark.parametrize("execute", [descend, descend_compiled])
def test_one_over_t_at_batch_1_is_the_mean_after_an_epoch(rows: int, execute: Any) -> None:
    problem = numbers_problem(rows, mean=3.0, variance=0.0 if rows == 1 else 4.0)
    lanes = tuple(Lane(1.0, seed) for seed in range(3))
    plan = make_plan(1, 1, schedule=Inverse(k=rows), lanes=lanes, sampling="reshuffle")
    _, state = execute(problem, plan)
    theta = state.params[1].flatten()
    torch.testing.assert_close(theta, torch.full((3,), 3.0), rtol=1e-5, atol=0)
    # With replacement it is the mean of what was drawn, and another one.
    _, other = execute(problem, replace(plan, sampling="replacement"))
    if rows > 1:
        assert ((other.params[1].flatten() - 3).abs() > 1e-3).all()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("execute", [descend, descend_compiled])
def test_the_error_of_full_batches_is_the_product_of_one_minus_lr(
    schedule: Schedule, execute: Any
) -> None:
    mean, epochs, lrs = 1.5, 40, (0.1, 0.7, 1.3)
    lanes = tuple(Lane(lr, 0) for lr in lrs)
    plan = make_plan(30, epochs, schedule=schedule, lanes=lanes, sampling="sequential")
    segments, state = execute(numbers_problem(30, mean), plan)
    numbers = torch.arange(1, epochs + 1, dtype=torch.float64)
    factors = schedule.factors(numbers, epochs).tolist()
    for place, lr in enumerate(lrs):
        errors = [*accumulate((1 - lr * f for f in factors), float.__mul__, initial=-mean)]
        assert state.params[1][place].item() == pytest.approx(mean + errors[-1], rel=1e-5)
        losses, rates = zip(*ends_of(segments, place), strict=True)
        assert losses == pytest.approx([0.5 + e**2 / 2 for e in errors], rel=1e-5)
        if schedule == CONSTANT:
            assert set(rates) == {None}
        else:
            expected = [lr * factors[0], *(lr * f for f in factors)]
            assert rates == pytest.approx(expected, rel=1e-12)


def ends_of(segments: list[Segment], lane: int) -> Iterator[tuple[float | None, float | None]]:
    """Of each epoch the train loss of a lane, and the learning rate of its last update."""
    for ends in [segment.ends for segment in segments if segment.ends]:
        losses = ends.train_loss[lane]
        rates = ends.columns[SCHEDULED_LR][lane] if ends.columns else [None] * len(losses)
        yield from zip(losses, rates, strict=True)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_training_is_the_same_at_any_boundary_of_segments(schedule: Schedule) -> None:
    problem = make_problem(10, features=2)
    plan = make_plan(3, 7, lanes=LANES, schedule=schedule, momentum=0.8)
    expected = told(descend(problem, plan)[0])
    assert told(descend(problem, plan, Timing(segment=0.0))[0]) == expected
    for stop in (1, 5, 12, 20):  # each with a state that goes on in a loop of its own
        state = initial_state(problem, plan)
        first = []
        for segment in train(problem, plan, state, timing=Timing(segment=0.0)):
            first.append(segment)
            if len(first) == stop:
                break
        rest = [*train(problem, plan, state.clone())]
        assert told([*first, *rest]) == expected


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("execute", [descend, descend_compiled])
def test_a_plan_that_ends_earlier_is_the_same_up_to_there(schedule: Schedule, execute: Any) -> None:
    problem = make_problem(10, features=2)
    plan = make_plan(3, 8, lanes=LANES, schedule=schedule)
    steps, ends = told(execute(problem, plan)[0])
    fewer_steps, fewer_ends = told(execute(problem, plan.until(5))[0])
    assert fewer_steps == steps[: len(fewer_steps)]
    assert fewer_ends == ends[: len(fewer_ends)]
    assert len(fewer_ends) == 6
    shorter, _ = told(execute(problem, replace(plan, epochs=5))[0])
    assert (shorter == fewer_steps) == (schedule == CONSTANT)  # another training
