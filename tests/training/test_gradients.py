"""Gradients by PyTorch's private call and by its public one."""

import pytest
import torch

from gdrun.results.events import Lane
from gdrun.training.optimizers import step
from gdrun.training.state import initial_state
from tests.problems import descend, make_plan, make_problem, step_losses


def test_private_and_public_gradients_agree() -> None:
    problem = make_problem(rows=8, features=2)
    plan = make_plan(8, lanes=(Lane(0.1, 0), Lane(0.1, 1)))
    leaves = tuple(p.requires_grad_() for p in initial_state(problem, plan).params)
    ones = torch.ones(2)
    found = []
    for function in (step.lane_gradients, step.gradients_by_public_call):
        losses = problem.losses(
            leaves, *(t.expand(2, -1, -1) for t in (problem.data.x[:], problem.data.y[:]))
        )
        found.append(function(losses, leaves, ones))
    assert step.lane_gradients is not step.gradients_by_public_call
    for private, public in zip(*found, strict=True):
        assert torch.equal(private, public)


def test_engine_runs_on_the_public_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, plan = make_problem(rows=10), make_plan(3)
    expected = step_losses(descend(problem, plan)[0])
    monkeypatch.setattr(step, "lane_gradients", step.gradients_by_public_call)
    assert step_losses(descend(problem, plan)[0]) == pytest.approx(expected, rel=1e-6)
