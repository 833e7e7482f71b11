"""How many threads do the work, and how exact it is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gdrun.training import computing
from gdrun.training.loop import train
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.state import initial_state
from tests.problems import make_plan, make_problem


def test_small_work_is_done_by_one_thread_and_large_by_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    losses = Problem.losses

    def count(self: Problem, params: Params, x: Tensor, y: Tensor, *rows: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return losses(self, params, x, y, *rows)

    monkeypatch.setattr(Problem, "losses", count)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for least, expected in ((10**9, 1), (0, 3)):
            monkeypatch.setattr(computing, "SPLIT_WORK", least)
            seen.clear()
            for segment in train(*(start := (make_problem(), make_plan(5))), initial_state(*start)):
                assert segment.epoch <= 3
                assert torch.get_num_threads() == 3
            assert set(seen) == {expected}
    finally:
        torch.set_num_threads(before)


@pytest.fixture(params=[False, True])
def asked_for(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether PyTorch is asked to round the products of a GPU to TF32."""
    products = torch.backends.cuda.matmul
    before, products.allow_tf32 = products.allow_tf32, request.param
    yield products.allow_tf32
    products.allow_tf32 = before


def test_a_gpu_rounds_convolutions_as_it_does_products(
    asked_for: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def noting(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(*args: Any) -> Tensor:
            seen.append(torch.backends.cudnn.allow_tf32)
            return function(*args)

        return noted

    monkeypatch.setattr(Problem, "losses", noting(Problem.losses))
    monkeypatch.setattr(Problem, "measured", noting(Problem.measured))
    start = make_problem(), make_plan(5)
    for usual in (True, False):
        with torch.backends.cudnn.flags(allow_tf32=usual):
            for _ in train(*start, initial_state(*start)):
                assert torch.backends.cudnn.allow_tf32 == usual
    assert {*seen} == {asked_for}


def test_work_is_counted_in_multiply_adds() -> None:
    problem = make_problem(rows=50, features=3, hidden=(4,))  # 3 × 4 + 4 + 4 + 1 weights
    assert problem.work(2, 10) == 2 * 10 * 21
    assert replace(problem, chunk_rows=7).work(2, 10) == 2 * 7 * 21
