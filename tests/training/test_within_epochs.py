"""Train losses within epochs: when they are evaluated, their values, and what they leave alone."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.timing import Timing
from gdrun.data.order import visiting_order
from gdrun.results.events import Lane, Segment
from gdrun.training.backend import Backend
from gdrun.training.eager import EAGER
from gdrun.training.loop import train
from gdrun.training.losses.regression import Regression
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, initial_state
from tests.compiler.compiled_runs import program_of
from tests.problems import descend, make_plan, make_problem

LANES = (Lane(0.05, 0), Lane(0.02, 3))
Found = list[tuple[int, int, int, list[float]]]


def within(segments: list[Segment]) -> Found:
    """Epoch, updates, samples and losses of the evaluations within epochs."""
    return [
        (each.epoch, each.updates, each.samples, list(each.train_loss))
        for each in segments
        if each.train_loss
    ]


def backend_of(engine: str, problem: Problem, plan: Plan) -> Backend:
    return program_of(problem, plan) if engine == "compiled" else EAGER


@given(
    rows=st.integers(1, 400),
    batch=st.integers(1, 40),
    growth=st.sampled_from([0.01, 0.05, 0.2, 1.0]),
    every=st.integers(1, 7),
    drop=st.booleans(),
    after=st.integers(0, 300),
)
def test_updates_grow_by_no_more_than_a_share_between_evaluations(
    rows: int, batch: int, growth: float, every: int, drop: bool, after: int
) -> None:
    batch = min(rows, batch)
    plan = make_plan(batch, epochs=20 * every, eval_every=every, eval_growth=growth, drop_last=drop)
    an_epoch = plan.updates_per_epoch(rows)
    total = plan.epochs * an_epoch
    found = [update for update in plan.evaluated_within(rows) if update < total]
    assert found == sorted(set(found))
    assert all(update % an_epoch for update in found)
    ends = range(0, total + 1, every * an_epoch)
    if an_epoch > 1:  # else there is nothing within
        for one, other in pairwise(sorted([*found, *ends])):
            shifted = 1 if every > 1 else 0  # the end of an epoch that isn't evaluated
            assert other - one <= max(1, growth * one) + shifted
    longer = make_plan(batch, epochs=10**6, eval_every=every, eval_growth=growth, drop_last=drop)
    later = [update for update in longer.evaluated_within(rows, after) if update < total]
    assert later == [update for update in found if update > after]
    assert plan.count_within(rows, after) == len(later)
    assert all(plan.is_evaluated_after(update, rows) for update in found)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("batch", [1, 4, 12])
def test_losses_are_those_of_a_plain_loop(engine: str, batch: int) -> None:
    problem = make_problem(rows=14, hidden=(6,))
    plan = make_plan(batch, lanes=LANES, epochs=4, eval_growth=0.2)
    state = initial_state(problem, plan)
    found = within(list(train(problem, plan, state, backend_of(engine, problem, plan))))
    total = 4 * plan.updates_per_epoch(14)
    due = [update for update in plan.evaluated_within(14) if update < total]
    assert [updates for _, updates, _, _ in found] == due
    for place, lane in enumerate(LANES):
        torch.manual_seed(lane.seed)
        net = torch.nn.Sequential(torch.nn.Linear(1, 6), torch.nn.ReLU(), torch.nn.Linear(6, 1))
        optimizer = torch.optim.SGD(net.parameters(), lr=lane.lr)
        x, y = problem.data.x[:], problem.data.y[:]
        expected, samples = [], 0
        for epoch in range(1, 5):
            order = visiting_order("reshuffle", 14, [lane.seed], epoch)
            assert order is not None
            for rows in torch.split(order(0, 14)[0], batch):
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(net(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                samples += len(rows)
                with torch.no_grad():
                    expected.append((samples, torch.nn.functional.mse_loss(net(x), y).item()))
        for _, updates, samples_then, losses in found:
            samples, loss = expected[updates - 1]
            assert samples_then == samples
            assert losses[place] == pytest.approx(loss, rel=1e-4)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("chunk_rows", [None, 5])
def test_they_change_nothing_else(engine: str, chunk_rows: int | None) -> None:
    problem = make_problem(rows=23)
    problem = Problem(problem.data, problem.model, Regression("mse"), chunk_rows)
    told = []
    for growth in (0.0, 0.05):
        plan = make_plan(2, lanes=(*LANES, Lane(1e6, 0)), epochs=9, eval_growth=growth)
        state = initial_state(problem, plan)
        segments = list(train(problem, plan, state, backend_of(engine, problem, plan)))
        steps = [
            row
            for s in segments
            for row in zip(s.epochs_of(s.logged(1)[0]), *s.logged(1)[1], strict=True)
        ]
        ends = [
            (epoch, s.ends.active, *losses)
            for s in segments
            if s.ends
            for epoch, *losses in zip(s.ends.epochs, *s.ends.train_loss, strict=True)
        ]
        told.append((repr(steps), repr(ends), [p.tolist() for p in state.params]))
        assert bool(within(segments)) == (growth > 0)
    assert repr(told[0]) == repr(told[1])


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_training_stopped_anywhere_evaluates_each_once(engine: str) -> None:
    """Also in the middle of an evaluation, which reports every few rows here."""
    problem = make_problem(rows=11)
    problem = Problem(problem.data, problem.model, Regression("mse"), 4)
    plan = make_plan(2, lanes=LANES, epochs=3, eval_growth=0.1)
    backend = backend_of(engine, problem, plan)
    timing = Timing(segment=0.0)
    expected = within(list(train(problem, plan, initial_state(problem, plan), backend)))
    state, found, segments, waiting = initial_state(problem, plan), [], 0, 0
    while not state.is_over(plan, plan.updates_per_epoch(11)):
        running = train(problem, plan, state, backend, timing)
        for segment in running:
            found += within([segment])
            segments += 1
            if segments % 4 == 0:
                waiting += state.is_due(plan, 11)
                break
        state = state.clone()
    assert found == expected
    assert waiting > 3


def test_a_lane_that_diverged_is_left_out() -> None:
    problem = make_problem(rows=8)
    plan = make_plan(1, lanes=(Lane(1e9, 0), Lane(0.05, 1)), epochs=3, eval_growth=0.05)
    segments, _ = descend(problem, plan)
    last = [list(segment.evaluated("ab")) for segment in segments if segment.train_loss][-1]
    assert [lane for lane, _ in last] == ["b"]
