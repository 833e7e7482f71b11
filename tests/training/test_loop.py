"""The engine against what gdrun didn't write: torch.optim.SGD, closed forms, brute force."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gdrun.results.events import Lane
from gdrun.results.run import LOSS_NAMES
from gdrun.training import backend, gradients
from gdrun.training.batches import pieces
from gdrun.training.loop import train
from gdrun.training.models import LOSSES, Network, Params, Problem
from gdrun.training.sgd import SGD, Step, make_step
from gdrun.training.state import Plan, initial_state
from tests.conftest import descend, make_plan, make_problem, step_losses, train_losses

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


class HalfMSELoss(nn.Module):
    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs - y).square().mean() / 2


CRITERIA: dict[str, type[nn.Module]] = {
    "mse": nn.MSELoss,
    "half_mse": HalfMSELoss,
    "l1": nn.L1Loss,
    "huber": nn.HuberLoss,
}


def torch_network(network: Network, seed: int) -> nn.Sequential:
    """The same network, built as anyone would."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(network.sizes):
        layers += [nn.Linear(inputs, outputs), ACTIVATIONS[network.activation]()]
    return nn.Sequential(*layers[:-1])


def torch_losses(problem: Problem, plan: Plan, lane: Lane) -> list[float]:
    """The batch losses of torch.optim.SGD on the batches that the engine's lane gets."""
    network = torch_network(problem.network, lane.seed)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=lane.lr,
        momentum=plan.momentum,
        nesterov=plan.nesterov,
        weight_decay=plan.weight_decay,
    )
    criterion = CRITERIA[problem.loss_name]()
    position = plan.lanes.index(lane)
    losses = []
    for epoch in range(1, plan.epochs + 1):
        for x, y, _, _ in pieces(problem, plan, epoch):
            loss = criterion(network(x[position]), y[position])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("momentum", "nesterov", "weight_decay"),
    [(0.0, False, 0.0), (0.9, False, 0.0), (0.9, True, 0.0), (0.0, False, 0.1), (0.8, True, 0.05)],
)
@pytest.mark.parametrize("sampling", ["sequential", "reshuffle", "replacement"])
def test_updates_are_those_of_torch_sgd(
    momentum: float, nesterov: bool, weight_decay: float, sampling: str
) -> None:
    problem = make_problem(rows=23, features=3, hidden=(8, 6))
    plan = make_plan(
        5,
        epochs=6,
        lanes=(Lane(0.05, 1), Lane(0.02, 2)),
        sampling=sampling,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
    )
    segments, _ = descend(problem, plan)
    for position, lane in enumerate(plan.lanes):
        expected = torch_losses(problem, plan, lane)
        assert step_losses(segments, position) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("loss", list(CRITERIA))
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(), (4,), (6, 5, 4)])
def test_losses_and_networks_are_torchs(
    loss: str, activation: str, hidden: tuple[int, ...]
) -> None:
    problem = make_problem(rows=10, features=2, hidden=hidden, loss=loss, activation=activation)
    plan = make_plan(3, epochs=3, sampling="sequential")
    segments, _ = descend(problem, plan)
    expected = torch_losses(problem, plan, plan.lanes[0])
    assert step_losses(segments) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_every_loss_is_compared_with_torch() -> None:
    assert set(CRITERIA) == set(LOSSES) == set(LOSS_NAMES)


def test_half_the_square_is_that_of_numbers_of_any_size() -> None:
    outputs = torch.tensor([0.0, 1e-20, 3.0, -1e4, 1e18, 1e30, torch.inf, torch.nan])
    outputs.requires_grad_()
    losses = LOSSES["half_mse"](outputs, torch.zeros(8), reduction="none")
    assert torch.equal(losses[:5], outputs[:5].square() / 2)
    assert not losses[5:].isfinite().any()  # squares above 3e38 are infinite
    (slopes,) = torch.autograd.grad(losses.sum(), outputs)
    assert torch.equal(slopes[:5], outputs[:5])


def test_without_features_a_bias_starts_at_zero_as_torchs() -> None:
    with pytest.warns(UserWarning, match="zero-element"):
        layer = nn.Linear(0, 1)
    weight, bias = Network((0, 1), "relu").init([0, 1])
    assert (weight.shape, bias.shape) == ((2, 0, 1), (2, 1, 1))
    assert bias.flatten().tolist() == 2 * layer.bias.tolist() == [0, 0]
    assert (Network((0, 1), "relu").parameters, str(Network((0, 1), "relu"))) == (
        1,
        "constant model",
    )


def test_full_batch_gradient_is_the_mean_of_the_rows_gradients() -> None:
    problem = make_problem(rows=9, features=2, hidden=(6,))
    lr = 0.1
    plan = make_plan(9, lr=lr, sampling="sequential")
    before = initial_state(problem, plan)
    after = before.clone()
    x, y = problem.data.x[:].unsqueeze(0), problem.data.y[:].unsqueeze(0)
    lr_of_lanes = plan.rates(x.device)
    make_step(problem.losses, plan.rule, after.params, after.velocity, lr_of_lanes)(x, y)
    leaves = tuple(p.requires_grad_() for p in before.clone().params)
    single = [
        torch.autograd.grad(problem.losses(leaves, x[:, k : k + 1], y[:, k : k + 1]).sum(), leaves)
        for k in range(9)
    ]
    for old, new, *rows in zip(before.params, after.params, *single, strict=True):
        torch.testing.assert_close(
            (old - new) / lr, torch.stack(rows).mean(0), atol=1e-5, rtol=1e-5
        )


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
    epochs_reported = [s.epoch for s in segments if s.ends_epoch and s.evaluations[1]]
    assert epochs_reported == list(range(-(-at // plan.updates_per_epoch(20)) + 1))


def test_training_stops_when_every_lane_has_diverged() -> None:
    plan = make_plan(1, lanes=(Lane(1e6, 0), Lane(1e7, 1)), epochs=1000)
    segments, state = descend(make_problem(), plan)
    assert None not in state.diverged_at
    assert segments[-1].epoch < 10


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


@given(
    rows=st.integers(1, 40),
    batch=st.integers(1, 40),
    sampling=st.sampled_from(["sequential", "reshuffle", "replacement"]),
    drop_last=st.booleans(),
    skip=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_batches_cover_an_epoch(
    rows: int, batch: int, sampling: str, drop_last: bool, skip: int
) -> None:
    batch = min(batch, rows)
    problem = make_problem(rows=rows)
    plan = make_plan(batch, sampling=sampling, drop_last=drop_last, lanes=(Lane(1, 0), Lane(1, 1)))
    sizes = [piece[0].shape[1] for piece in pieces(problem, plan, epoch=1)]
    whole, rest = divmod(rows, batch)
    assert sizes == [batch] * whole + ([rest] if rest and not drop_last else [])
    assert len(sizes) == plan.updates_per_epoch(rows)
    all_x = torch.cat([piece[0] for piece in pieces(problem, plan, epoch=1)], dim=1)
    rest_x = [piece[0] for piece in pieces(problem, plan, epoch=1, skip=skip)]
    if rest_x:
        assert torch.equal(torch.cat(rest_x, dim=1), all_x[:, skip * batch :])
    if sampling != "replacement" and not drop_last:
        for lane in all_x:
            assert sorted(lane.flatten().tolist()) == sorted(problem.data.x[:].flatten().tolist())


@given(rows=st.integers(2, 30), batch=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_batch_loss_is_weighted_by_rows(rows: int, batch: int) -> None:
    batch = min(batch, rows)
    problem = make_problem(rows=rows)
    plan = make_plan(batch, lr=1e-30, epochs=1, sampling="sequential")
    segments, _ = descend(problem, plan)
    evaluation = segments[-1].evaluations[0]
    assert evaluation is not None
    assert evaluation.batch_loss is not None
    # The weights don't move, so the mean over an epoch is the loss over all rows.
    assert evaluation.batch_loss == pytest.approx(evaluation.train_loss, rel=1e-5)
    assert segments[-1].samples == rows


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
    chunked, in_pieces = descend(replace(problem, chunk_rows=chunk), plan)
    for lane in range(2):
        assert step_losses(chunked, lane) == pytest.approx(step_losses(whole, lane), rel=1e-5)
        assert train_losses(chunked, lane) == pytest.approx(train_losses(whole, lane), rel=1e-5)
    for one, other in zip(at_once.params, in_pieces.params, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@given(batch=st.integers(1, 30), chunk=st.integers(1, 30), drop_last=st.booleans())
@settings(max_examples=40, deadline=None)
def test_pieces_make_up_the_batches(batch: int, chunk: int, drop_last: bool) -> None:
    problem = make_problem(rows=30)
    plan = make_plan(batch, drop_last=drop_last, lanes=(Lane(1, 0), Lane(1, 1)))
    whole = [x for x, _, _, _ in pieces(replace(problem, chunk_rows=100), plan, epoch=1)]
    batches: list[Tensor] = []
    parts: list[tuple[Tensor, float]] = []
    for x, _, share, completes in pieces(replace(problem, chunk_rows=chunk), plan, epoch=1):
        assert x.shape[1] <= max(chunk, 1)
        parts.append((x, share))
        if completes:
            batches.append(torch.cat([x for x, _ in parts], dim=1))
            assert sum(share for _, share in parts) == pytest.approx(1)
            for piece, share in parts:
                assert share == pytest.approx(piece.shape[1] / batches[-1].shape[1])
            parts = []
    assert not parts
    assert len(batches) == len(whole)
    for found, expected in zip(batches, whole, strict=True):
        assert torch.equal(found, expected)


def test_sums_do_not_depend_on_how_an_epoch_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, plan = make_problem(rows=500, features=2), make_plan(1, epochs=3, lr=0.1)
    whole, _ = descend(problem, plan)
    monkeypatch.setattr(backend, "SEGMENT_SECONDS", 0.0)
    cut, _ = descend(problem, plan)
    assert len(cut) > 1000
    one, other = ([s.evaluations for s in found if s.ends_epoch] for found in (whole, cut))
    assert one == other
    # They are the sums of a plain loop, to the bit.
    total = 0.0
    for loss in step_losses(whole)[:500]:
        total += loss
    evaluation = one[1][0]
    assert evaluation is not None
    assert evaluation.batch_loss == total / 500


def test_a_long_update_and_a_long_evaluation_can_be_left_at_any_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = replace(make_problem(rows=20), chunk_rows=6)
    plan = make_plan(20, epochs=3, momentum=0.5, eval_every=2)
    monkeypatch.setattr(backend, "SEGMENT_SECONDS", 0.0)  # every chunk ends a segment
    reference, copies = [], []
    state = initial_state(problem, plan)
    for segment in train(problem, plan, state):
        reference.append(segment)
        copies.append(state.clone())
    assert sum(not segment.losses and not segment.ends_epoch for segment in reference) > 10
    for position, copy in enumerate(copies):
        rest = list(train(problem, plan, copy))
        expected = reference[position + 1 :]
        assert step_losses(rest) == step_losses(expected)
        assert train_losses(rest) == train_losses(expected)


def test_losses_are_evaluated_in_chunks_without_a_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = make_problem(rows=50, features=3)
    plan = make_plan(7, epochs=3)
    whole, _ = descend(problem, plan)
    monkeypatch.setattr("gdrun.training.batches.BLOCK_NUMBERS", 60)
    chunked, _ = descend(replace(problem, chunk_rows=9), plan)
    assert train_losses(chunked) == pytest.approx(train_losses(whole), rel=1e-6)
    assert step_losses(chunked) == step_losses(whole)


@pytest.mark.parametrize("eval_every", [1, 2, 5])
def test_evaluation_is_due_at_the_start_every_k_epochs_and_at_the_end(eval_every: int) -> None:
    segments, _ = descend(make_problem(), make_plan(4, epochs=7, eval_every=eval_every))
    ends = [segment for segment in segments if segment.ends_epoch]
    evaluated = [s.epoch for s in ends if s.evaluations[0] and s.evaluations[0].train_loss]
    assert evaluated == [e for e in range(8) if e % eval_every == 0 or e == 7]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_goes_on_from_any_segment(
    momentum: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_problem(rows=13)
    plan = make_plan(3, epochs=4, momentum=momentum, lanes=(Lane(0.05, 0), Lane(1e6, 1)))
    monkeypatch.setattr(backend, "SEGMENT_SECONDS", 0.0)  # every update ends a segment
    state = initial_state(problem, plan)
    copies, reference = [], []
    for segment in train(problem, plan, state):
        reference.append(segment)
        copies.append(state.clone())
    for position, copy in enumerate(copies):
        rest = list(train(problem, plan, copy))
        expected = reference[position + 1 :]
        assert step_losses(rest) == step_losses(expected)
        assert [s.evaluations for s in rest][-1:] == [s.evaluations for s in expected][-1:] or (
            # a diverged lane's NaN equals nothing
            train_losses(rest) == train_losses(expected)
        )


def test_segments_are_bounded_in_time_and_end_with_their_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backend, "SEGMENT_SECONDS", 0.0)
    segments, _ = descend(make_problem(rows=6), make_plan(1, epochs=2))
    # The last epoch's updates are told before its evaluation.
    assert [s.epoch for s in segments] == [0, *[1] * 6, *[2] * 7]
    ends = [True, *[False] * 5, True, *[False] * 6, True]
    assert [s.ends_epoch for s in segments] == ends
    assert [s.updates for s in segments if s.ends_epoch] == [0, 6, 12]


def test_two_runs_are_the_same_to_the_bit() -> None:
    problem, plan = make_problem(rows=30, features=4), make_plan(7, epochs=5, sampling="reshuffle")
    assert step_losses(descend(problem, plan)[0]) == step_losses(descend(problem, plan)[0])


def test_initialisation_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    descend(make_problem(), make_plan(3, sampling="reshuffle"))
    assert torch.equal(torch.rand(3), expected)


def test_private_and_public_gradients_agree() -> None:
    problem = make_problem(rows=8, features=2)
    plan = make_plan(8, lanes=(Lane(0.1, 0), Lane(0.1, 1)))
    leaves = tuple(p.requires_grad_() for p in initial_state(problem, plan).params)
    ones = torch.ones(2)
    found = []
    for function in (gradients.lane_gradients, gradients.gradients_by_public_call):
        losses = problem.losses(
            leaves, *(t.expand(2, -1, -1) for t in (problem.data.x[:], problem.data.y[:]))
        )
        found.append(function(losses, leaves, ones))
    assert gradients.lane_gradients is not gradients.gradients_by_public_call
    for private, public in zip(*found, strict=True):
        assert torch.equal(private, public)


def test_engine_runs_on_the_public_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, plan = make_problem(rows=10), make_plan(3)
    expected = step_losses(descend(problem, plan)[0])
    monkeypatch.setattr("gdrun.training.sgd.lane_gradients", gradients.gradients_by_public_call)
    assert step_losses(descend(problem, plan)[0]) == pytest.approx(expected, rel=1e-6)


def test_validation_loss_is_that_of_the_validation_rows() -> None:
    problem = make_problem(rows=30, features=2)
    data = replace(
        problem.data,
        x=problem.data.x[:20],
        y=problem.data.y[:20],
        x_val=problem.data.x[20:],
        y_val=problem.data.y[20:],
    )
    problem = replace(problem, data=data)
    segments, state = descend(problem, make_plan(4, epochs=2))
    evaluation = segments[-1].evaluations[0]
    assert evaluation is not None
    network = torch_network(problem.network, seed=0)
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    for layer, weight, bias in zip(layers, state.params[::2], state.params[1::2], strict=True):
        layer.weight.data, layer.bias.data = weight[0].T, bias[0, 0]
    for loss, x, y in (
        (evaluation.train_loss, data.x[:], data.y[:]),
        (evaluation.val_loss, data.x_val[:], data.y_val[:]),
    ):
        assert loss == pytest.approx(nn.functional.mse_loss(network(x), y).item(), rel=1e-5)


def test_the_first_update_is_warmed_up_on_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, plan = make_problem(), make_plan(3, epochs=1, momentum=0.9)
    made: list[tuple[Tensor, ...]] = []

    def remember(
        losses_of: Callable[..., Tensor], rule: SGD, weights: Params, velocity: Params, lr: Tensor
    ) -> Step:
        made.append(weights)
        return make_step(losses_of, rule, weights, velocity, lr)

    monkeypatch.setattr("gdrun.training.eager.make_step", remember)
    _, state = descend(problem, plan)
    assert len(made) == 2
    assert made[0] is not state.params
    assert made[1] is state.params


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
            monkeypatch.setattr("gdrun.training.threads.SPLIT_WORK", least)
            seen.clear()
            for segment in train(*(start := (make_problem(), make_plan(5))), initial_state(*start)):
                assert segment.epoch <= 3
                assert torch.get_num_threads() == 3
            assert set(seen) == {expected}
    finally:
        torch.set_num_threads(before)


def test_work_is_counted_in_multiply_adds() -> None:
    problem = make_problem(rows=50, features=3, hidden=(4,))  # 3 × 4 + 4 + 4 + 1 weights
    assert problem.work(2, 10) == 2 * 10 * 21
    assert replace(problem, chunk_rows=7).work(2, 10) == 2 * 7 * 21
