"""Lanes are trained together as they would be alone, and one that diverges leaves the others."""

import math

import pytest

from gdrun.results.events import Lane
from tests.problems import descend, make_plan, make_problem, step_losses, train_losses


def test_lane_equals_the_same_seed_alone() -> None:
    problem = make_problem(rows=20, features=2)
    lanes = (Lane(0.05, 0), Lane(0.05, 1), Lane(0.1, 1), Lane(0.01, 5))
    together, _ = descend(problem, make_plan(4, lanes=lanes, epochs=4))
    for position, lane in enumerate(lanes):
        alone, _ = descend(problem, make_plan(4, lanes=(lane,), epochs=4))
        assert step_losses(together, position) == pytest.approx(step_losses(alone), rel=1e-5)
        assert train_losses(together, position) == pytest.approx(train_losses(alone), rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_divergence_leaves_the_neighbours_bit_for_bit(batch_size: int) -> None:
    problem = make_problem(rows=20)
    healthy = (Lane(0.05, 0), Lane(0.02, 3))
    wild = Lane(1e6, 1)
    alone, _ = descend(problem, make_plan(batch_size, lanes=healthy, epochs=8))
    plan = make_plan(batch_size, lanes=(healthy[0], wild, healthy[1]), epochs=8)
    segments, state = descend(problem, plan)
    assert state.diverged_at[0] is None
    assert state.diverged_at[1] is not None
    assert step_losses(segments, 0) == step_losses(alone, 0)
    assert step_losses(segments, 2) == step_losses(alone, 1)
    assert train_losses(segments, 0) == train_losses(alone, 0)
    assert train_losses(segments, 2) == train_losses(alone, 1)
    # It counts up to the first loss that is no number: a batch's, or that over all rows.
    at = state.diverged_at[1]
    seen, evaluated = step_losses(segments, 1), train_losses(segments, 1)
    assert all(math.isfinite(loss) for loss in seen[: at - 1])
    assert all(math.isfinite(loss) for loss in evaluated[:-1])
    assert not math.isfinite(seen[at - 1]) or not math.isfinite(evaluated[-1])
    epochs_reported = [s.epoch for s in segments if s.ends and s.ends.active[1]]
    assert epochs_reported == list(range(-(-at // plan.updates_per_epoch(20)) + 1))


def test_training_stops_when_every_lane_has_diverged() -> None:
    plan = make_plan(1, lanes=(Lane(1e6, 0), Lane(1e7, 1)), epochs=1000)
    segments, state = descend(make_problem(), plan)
    assert None not in state.diverged_at
    assert segments[-1].epoch < 10
