"""The rows that updates visit, many updates at a time."""

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.compiler.epoch_blocks import EpochBlocks
from gdrun.training.batches import Batches
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
def test_blocks_visit_the_rows_that_updates_one_by_one_do(
    rows: int, batch: int, sampling: Any, drop: bool, done: int, number: int
) -> None:
    problem = make_problem(rows=rows)
    plan = make_plan(min(batch, rows), epochs=9, lanes=THREE, drop_last=drop, sampling=sampling)
    an_epoch = plan.updates_per_epoch(rows)
    done = min(done, 9 * an_epoch - 1)
    blocks = EpochBlocks(problem.data, plan)
    block = blocks.after(done, number, most_ends=100)
    assert 0 < block.epochs * block.updates <= number
    x, _, indices = blocks.rows(block)
    for k in range(block.epochs):
        epoch, skip = divmod(done + k * block.updates, an_epoch)
        one_by_one = list(Batches(problem, plan).chunks(epoch + 1, skip))[: block.updates]
        expected = torch.cat([chunk[0] for chunk in one_by_one], dim=1)
        found = x.expand(3, -1, -1) if indices is None else x[indices[k]]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert len(one_by_one[-1][0][0]) == block.last_batch
