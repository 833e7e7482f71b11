"""The rows that updates visit, many updates at a time."""

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.compiler.epoch_blocks import Visits
from gdrun.training.batches import pieces
from tests.compiler.compiled_runs import THREE
from tests.problems import make_plan, make_problem


@given(
    rows=st.integers(1, 300),
    batch=st.integers(1, 300),
    sampling=st.sampled_from(["sequential", "reshuffle", "replacement"]),
    drop=st.booleans(),
    done=st.integers(0, 2000),
    number=st.integers(1, 400),
)
def test_laps_visit_the_rows_that_updates_one_by_one_do(
    rows: int, batch: int, sampling: Any, drop: bool, done: int, number: int
) -> None:
    problem = make_problem(rows=rows)
    plan = make_plan(min(batch, rows), epochs=9, lanes=THREE, drop_last=drop, sampling=sampling)
    an_epoch = plan.updates_per_epoch(rows)
    done = min(done, 9 * an_epoch - 1)
    visits = Visits(problem.data, plan)
    laps = visits.laps(done, number)
    assert 0 < laps.laps * laps.updates <= number
    x, _, numbers = visits.rows(laps)
    for lap in range(laps.laps):
        epoch, skip = divmod(done + lap * laps.updates, an_epoch)
        one_by_one = list(pieces(problem, plan, epoch + 1, skip))[: laps.updates]
        expected = torch.cat([piece[0] for piece in one_by_one], dim=1)
        found = x.expand(3, -1, -1) if numbers is None else x[numbers[lap]]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert len(one_by_one[-1][0][0]) == laps.last
