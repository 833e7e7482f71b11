"""Batches and chunks cover the rows that they should."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gdrun.results.events import Lane
from gdrun.training import batches
from gdrun.training.batches import Batches
from tests.problems import descend, make_plan, make_problem, step_losses, train_losses


@given(
    rows=st.integers(1, 40),
    batch=st.integers(1, 40),
    sampling=st.sampled_from(["sequential", "reshuffle", "replacement"]),
    drop_last=st.booleans(),
    skip=st.integers(0, 5),
)
@settings(max_examples=60)
def test_batches_cover_an_epoch(
    rows: int, batch: int, sampling: str, drop_last: bool, skip: int
) -> None:
    batch = min(batch, rows)
    problem = make_problem(rows=rows)
    plan = make_plan(batch, sampling=sampling, drop_last=drop_last, lanes=(Lane(1, 0), Lane(1, 1)))
    sizes = [part[0].shape[1] for part in Batches(problem, plan).chunks(epoch=1)]
    whole, rest = divmod(rows, batch)
    assert sizes == [batch] * whole + ([rest] if rest and not drop_last else [])
    assert len(sizes) == plan.updates_per_epoch(rows)
    all_x = torch.cat([part[0] for part in Batches(problem, plan).chunks(epoch=1)], dim=1)
    rest_x = [part[0] for part in Batches(problem, plan).chunks(epoch=1, skip=skip)]
    if rest_x:
        assert torch.equal(torch.cat(rest_x, dim=1), all_x[:, skip * batch :])
    if sampling != "replacement" and not drop_last:
        for lane in all_x:
            assert sorted(lane.flatten().tolist()) == sorted(problem.data.x[:].flatten().tolist())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("chunk", [1, 7, 12, 49, 50, 51])
@pytest.mark.parametrize("batch", [50, 20])
def test_a_batch_in_chunks_is_the_whole_batch_to_rounding(
    batch: int, chunk: int, momentum: float
) -> None:
    problem = make_problem(rows=50, features=3)
    lanes = (Lane(0.05, 0), Lane(0.02, 1))
    plan = make_plan(batch, lanes=lanes, epochs=4, momentum=momentum, weight_decay=0.1)
    whole, at_once = descend(problem, plan)
    chunked, in_chunks = descend(replace(problem, chunk_rows=chunk), plan)
    for lane in range(2):
        assert step_losses(chunked, lane) == pytest.approx(step_losses(whole, lane), rel=1e-5)
        assert train_losses(chunked, lane) == pytest.approx(train_losses(whole, lane), rel=1e-5)
    for one, other in zip(at_once.params, in_chunks.params, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@given(batch=st.integers(1, 30), chunk=st.integers(1, 30), drop_last=st.booleans())
@settings(max_examples=40)
def test_chunks_make_up_the_batches(batch: int, chunk: int, drop_last: bool) -> None:
    problem = make_problem(rows=30)
    plan = make_plan(batch, drop_last=drop_last, lanes=(Lane(1, 0), Lane(1, 1)))
    whole = [x for x, _, _, _ in Batches(replace(problem, chunk_rows=100), plan).chunks(epoch=1)]
    batches: list[Tensor] = []
    parts: list[tuple[Tensor, float]] = []
    for x, _, share, completes in Batches(replace(problem, chunk_rows=chunk), plan).chunks(epoch=1):
        assert x.shape[1] <= max(chunk, 1)
        parts.append((x, share))
        if completes:
            batches.append(torch.cat([x for x, _ in parts], dim=1))
            assert sum(share for _, share in parts) == pytest.approx(1)
            for part, share in parts:
                assert share == pytest.approx(part.shape[1] / batches[-1].shape[1])
            parts = []
    assert not parts
    assert len(batches) == len(whole)
    for found, expected in zip(batches, whole, strict=True):
        assert torch.equal(found, expected)


def test_losses_are_evaluated_in_chunks_without_a_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = make_problem(rows=50, features=3)
    plan = make_plan(7, epochs=3)
    whole, _ = descend(problem, plan)
    monkeypatch.setattr(batches, "BLOCK_NUMBERS", 60)
    chunked, _ = descend(replace(problem, chunk_rows=9), plan)
    assert train_losses(chunked) == pytest.approx(train_losses(whole), rel=1e-6)
    assert step_losses(chunked) == step_losses(whole)


@given(
    rows=st.integers(1, 50),
    batch=st.integers(1, 50),
    drop=st.booleans(),
    updates=st.integers(0, 99),
)
def test_samples_after_counts_rows(rows: int, batch: int, drop: bool, updates: int) -> None:
    batch = min(batch, rows)
    plan = make_plan(batch, drop_last=drop)
    whole, rest = divmod(rows, batch)
    an_epoch = [batch] * whole + ([rest] if rest and not drop else [])
    expected = sum(an_epoch[k % len(an_epoch)] for k in range(updates))
    assert plan.samples_after(updates, rows) == expected
