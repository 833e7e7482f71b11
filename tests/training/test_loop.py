"""The training loop against closed forms, and wherever it is left."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gdrun.config.timing import Timing
from gdrun.results.events import EpochEnds, Lane, Segment
from gdrun.training.evaluate import evaluate_stacked
from gdrun.training.loop import train
from gdrun.training.models.model import Params
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.optimizers.step import Step, make_step
from gdrun.training.problem import Problem
from gdrun.training.ranks import Division
from gdrun.training.state import initial_state
from tests.problems import OPTIMIZERS, descend, make_plan, make_problem, step_losses, train_losses
from tests.segments import ends_of_lane

OFTEN = Timing(segment=0.0)  # every update, or chunk of rows, ends a segment


def all_ends(segments: list[Segment]) -> list[EpochEnds]:
    """What the ends of epochs report, but for the time."""
    return [replace(segment.ends, seconds=[]) for segment in segments if segment.ends]


@pytest.mark.parametrize("sampling", ["sequential", "reshuffle"])
def test_order_of_a_batch_with_all_rows_is_irrelevant(sampling: str) -> None:
    problem = make_problem(rows=12)
    reference, _ = descend(problem, make_plan(12, sampling="sequential", epochs=5))
    segments, _ = descend(problem, make_plan(12, sampling=sampling, epochs=5))
    assert step_losses(segments) == pytest.approx(step_losses(reference), rel=1e-5)


def test_untrained_loss_is_the_same_for_every_batch_size() -> None:
    problem = make_problem(rows=12)
    first = {train_losses(descend(problem, make_plan(b, epochs=1))[0])[0] for b in (1, 5, 12)}
    assert len(first) == 1


def test_no_learning_rate_leaves_the_weights() -> None:
    problem = make_problem()
    plan = make_plan(3, lr=1e-30, epochs=4)
    start = initial_state(problem, plan)
    segments, state = descend(problem, plan)
    for before, after in zip(start.params, state.params, strict=True):
        assert torch.equal(before, after)
    assert len(set(train_losses(segments))) == 1


def linear_problem() -> tuple[Problem, Tensor, Tensor]:
    """A linear model under MSE, a quadratic of its two parameters: its Hessian and minimum."""
    problem = make_problem(rows=15, features=1, hidden=())
    design = torch.cat([problem.data.x[:], torch.ones(15, 1)], dim=1).double()
    hessian = 2 * design.T @ design / 15
    minimum = torch.linalg.lstsq(design, problem.data.y[:].double()).solution
    return problem, hessian, minimum


def test_gradient_descent_on_a_quadratic_follows_its_closed_form() -> None:
    # θ_t − θ* = (I − lr H)^t (θ_0 − θ*): Nocedal & Wright 2006, sec. 3.3
    problem, hessian, minimum = linear_problem()
    lr, epochs = 0.3 / torch.linalg.eigvalsh(hessian).max().item(), 12
    plan = make_plan(15, lr=lr, epochs=epochs, sampling="sequential")
    start = torch.cat([p.flatten() for p in initial_state(problem, plan).params]).double()
    _, state = descend(problem, plan)
    contraction = torch.matrix_power(torch.eye(2).double() - lr * hessian, epochs)
    expected = minimum.flatten() + contraction @ (start - minimum.flatten())
    found = torch.cat([p.flatten() for p in state.params]).double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("factor", "diverges"), [(0.98, False), (1.05, True)])
def test_gradient_descent_on_a_quadratic_diverges_above_two_over_l(
    factor: float, diverges: bool
) -> None:
    problem, hessian, _ = linear_problem()
    lr = factor * 2 / torch.linalg.eigvalsh(hessian).max().item()
    segments, state = descend(problem, make_plan(15, lr=lr, epochs=2000, sampling="sequential"))
    assert (state.diverged_at[0] is not None) == diverges
    if not diverges:
        assert train_losses(segments)[-1] < train_losses(segments)[0]


@given(rows=st.integers(2, 30), batch=st.integers(1, 30))
@settings(max_examples=25)
def test_batch_loss_is_weighted_by_rows(rows: int, batch: int) -> None:
    batch = min(batch, rows)
    problem = make_problem(rows=rows)
    plan = make_plan(batch, lr=1e-30, epochs=1, sampling="sequential")
    segments, _ = descend(problem, plan)
    assert segments[-1].ends
    ((batch_loss, train_loss, _),) = ends_of_lane(segments[-1].ends, 0)
    assert batch_loss is not None
    # The weights don't move, so the mean over an epoch is the loss over all rows.
    assert batch_loss == pytest.approx(train_loss, rel=1e-5)
    assert segments[-1].samples == rows


def test_sums_do_not_depend_on_how_an_epoch_is_cut() -> None:
    problem, plan = make_problem(rows=500, features=2), make_plan(1, epochs=3, lr=0.1)
    whole, _ = descend(problem, plan)
    cut, _ = descend(problem, plan, OFTEN)
    assert len(cut) > 1000
    one, other = ([ends_of_lane(s.ends, 0) for s in found if s.ends] for found in (whole, cut))
    assert one == other
    # They are the sums of a plain loop, to the bit.
    total = 0.0
    for loss in step_losses(whole)[:500]:
        total += loss
    ((batch_loss, _, _),) = one[1]
    assert batch_loss == total / 500


def test_a_long_update_and_a_long_evaluation_can_be_left_at_any_time() -> None:
    problem = replace(make_problem(rows=20), chunk_rows=6)
    plan = make_plan(20, epochs=3, momentum=0.5, eval_every=2)
    reference, copies = [], []
    state = initial_state(problem, plan)
    for segment in train(problem, plan, state, timing=OFTEN):
        reference.append(segment)
        copies.append(state.clone())
    assert sum(not segment.losses and not segment.ends for segment in reference) > 10
    for position, copy in enumerate(copies):
        rest = list(train(problem, plan, copy, timing=OFTEN))
        expected = reference[position + 1 :]
        assert step_losses(rest) == step_losses(expected)
        assert train_losses(rest) == train_losses(expected)


@pytest.mark.parametrize("eval_every", [1, 2, 5])
def test_evaluation_is_due_at_the_start_every_k_epochs_and_at_the_end(eval_every: int) -> None:
    segments, _ = descend(make_problem(), make_plan(4, epochs=7, eval_every=eval_every))
    ends = [segment for segment in segments if segment.ends]
    evaluated = [s.epoch for s in ends if s.ends and s.ends.train_loss[0][0]]
    assert evaluated == [e for e in range(8) if e % eval_every == 0 or e == 7]


@pytest.mark.parametrize("optimizer", [SGD(), *OPTIMIZERS.values()], ids=str)
def test_training_goes_on_from_any_segment(optimizer: Optimizer) -> None:
    problem = make_problem(rows=13)
    plan = make_plan(3, epochs=4, optimizer=optimizer, lanes=(Lane(0.05, 0), Lane(1e6, 1)))
    state = initial_state(problem, plan)
    copies, reference = [], []
    for segment in train(problem, plan, state, timing=OFTEN):
        reference.append(segment)
        copies.append(state.clone())
    for position, copy in enumerate(copies):
        rest = list(train(problem, plan, copy, timing=OFTEN))
        expected = reference[position + 1 :]
        assert step_losses(rest) == step_losses(expected)
        # Times aside; and a diverged lane's NaN equals nothing.
        assert repr(all_ends(rest)) == repr(all_ends(expected))


def test_segments_are_bounded_in_time_and_end_with_their_epoch() -> None:
    segments, _ = descend(make_problem(rows=6), make_plan(1, epochs=2), OFTEN)
    # The last epoch's updates are told before its evaluation.
    assert [s.epoch for s in segments] == [0, *[1] * 6, *[2] * 7]
    ends = [True, *[False] * 5, True, *[False] * 6, True]
    assert [s.ends is not None for s in segments] == ends
    assert [s.updates for s in segments if s.ends] == [0, 6, 12]


def test_two_runs_are_the_same_to_the_bit() -> None:
    problem, plan = make_problem(rows=30, features=4), make_plan(7, epochs=5, sampling="reshuffle")
    assert step_losses(descend(problem, plan)[0]) == step_losses(descend(problem, plan)[0])


def test_initialisation_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    descend(make_problem(), make_plan(3, sampling="reshuffle"))
    assert torch.equal(torch.rand(3), expected)


def test_the_first_update_is_warmed_up_on_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, plan = make_problem(), make_plan(3, epochs=1, momentum=0.9)
    made: list[tuple[Tensor, ...]] = []

    def remember(
        losses_of: Callable[..., Tensor], optimizer: SGD, weights: Params, *more: Any
    ) -> Step:
        made.append(weights)
        return make_step(losses_of, optimizer, weights, *more)

    monkeypatch.setattr("gdrun.training.eager.make_step", remember)
    _, state = descend(problem, plan)
    assert len(made) == 2
    assert made[0] is not state.params
    assert made[1] is state.params


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("hidden", [(10,), (5, 30, 3)])
@pytest.mark.parametrize("lanes", [1, 2])
def test_a_loss_is_the_same_to_the_bit_whatever_is_evaluated_with_it(
    activation: str, hidden: tuple[int, ...], lanes: int
) -> None:
    problem = make_problem(rows=7, features=3, hidden=hidden, activation=activation)
    generator = torch.Generator().manual_seed(0)
    shapes = [weights.shape for weights in problem.model.init(range(lanes))]
    weights = [torch.randn(9, *shape, generator=generator) for shape in shapes]

    def evaluated(together: int) -> list[object]:
        found = []
        for part in zip(*(torch.split(each, together) for each in weights), strict=True):
            due = [True] * len(part[0])
            found += evaluate_stacked(problem, Division(lanes), part, due)
        return [losses.train for losses in found if losses]

    assert len(evaluated(1)) == 9
    for together in (2, 3, 5, 9):
        assert evaluated(together) == evaluated(1)
