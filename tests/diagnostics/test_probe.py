"""What probes measure is what plain PyTorch says at the same weights."""

import math
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gdrun.config.read import configure
from gdrun.diagnostics import derivatives, noise, sharpness, two_batches
from gdrun.diagnostics.derivatives import LaneLoss, Work, finish
from gdrun.diagnostics.noise import gradient_noise, noise_scale
from gdrun.diagnostics.probe import Measured, lane_at_epoch, measure
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.runs import RunPlan
from gdrun.training.loop import train
from gdrun.training.state import TrainState, initial_state

SMALL: dict[str, Any] = {"hidden_size": [3], "activation": "tanh", "data": {"rows": 9}}
PROBES: tuple[Any, ...] = ("gradient", "noise", "sharpness")
OPTIMIZERS: list[dict[str, Any]] = [
    {},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    {"schedule": "cosine"},
    {"optimizer": {"name": "adam", "eps": 1e-3}, "weight_decay": 0.1, "lr": 0.01},
    {"optimizer": "adamw", "lr": 0.01},
    {"optimizer": {"name": "rmsprop", "eps": 1e-3}, "momentum": 0.5, "lr": 0.01},
    {"optimizer": {"name": "adagrad", "lr_decay": 0.1}, "lr": 0.01},
]


def trained(command: str, epochs: int = 6, **settings: Any) -> tuple[RunPlan, TrainState]:
    config = configure("article", {"epochs": epochs, **SMALL, **settings})
    (run,) = plan_experiment(command, config).runs
    state = initial_state(run.problem, run.plan)
    for _ in train(run.problem, run.plan, state):
        pass
    return run, state


def measured(run: RunPlan, state: TrainState, lane: int = 0) -> Measured:
    return finish(measure(lane_at_epoch(run.problem, run.plan, state, lane), PROBES))


def row_losses(run: RunPlan, state: TrainState, lane: int) -> Any:
    """The losses of single rows as a function of a lane's weights, by the formula."""
    x, y = torch.as_tensor(run.problem.data.x[:]), torch.as_tensor(run.problem.data.y[:])
    shapes = [tensor[lane].shape for tensor in state.params]

    def function(vector: Tensor) -> Tensor:
        parts = torch.split(vector, [math.prod(shape) for shape in shapes])
        w1, b1, w2, b2 = (part.view(shape) for part, shape in zip(parts, shapes, strict=True))
        hidden = torch.tanh(x @ w1 + b1)
        return (hidden @ w2 + b2 - y).square().mean(1)

    return function


@pytest.mark.parametrize("command", ["full", "sgd", "minibatch"])
@pytest.mark.parametrize("settings_", OPTIMIZERS, ids=lambda settings: ",".join(settings))
def test_probes_are_pytorchs(command: str, settings_: dict[str, Any]) -> None:
    run, state = trained(command, seeds=2, batch_size=4, **settings_)
    for lane in range(2):
        found = measured(run, state, lane)
        losses = row_losses(run, state, lane)
        vector = torch.cat([tensor[lane].flatten() for tensor in state.params]).double()
        rows = torch.autograd.functional.jacobian(losses, vector.float()).double()  # type: ignore[no-untyped-call]
        hessian = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]
            lambda w, f=losses: f(w).mean(), vector.float()
        ).double()
        gradient, covariance = rows.mean(0), torch.from_numpy(np.cov(rows.numpy().T, bias=True))
        assert found["gradient_norm"] == pytest.approx(float(gradient.norm()), rel=1e-4)
        scale = float(covariance.trace() / gradient.square().sum())
        assert found["simple_noise_scale"] == pytest.approx(scale, rel=1e-3)
        assert found["row_variance"] == pytest.approx(float(covariance.trace()), rel=1e-4)
        along = float(gradient @ hessian @ gradient)
        curved = float((hessian @ covariance).trace()) / along
        if along > 0:
            assert found["curved_noise_scale"] == pytest.approx(curved, rel=1e-3)
            assert found["curved_noise_scale_error"] == 0
        largest = float(torch.linalg.eigvalsh(hessian)[-1])
        assert found["sharpness"] == pytest.approx(largest, rel=1e-4)
        assert "preconditioned_sharpness" in found or not run.plan.optimizer.is_adaptive


@pytest.mark.parametrize("replaced", [False, True])
def test_the_variance_of_a_batch_is_that_of_all_batches_there_are(replaced: bool) -> None:
    sampling = "replacement" if replaced else "reshuffle"
    run, state = trained("minibatch", batch_size=3, sampling=sampling, data={"rows": 6})
    vector = torch.cat([tensor[0].flatten() for tensor in state.params])
    rows = torch.autograd.functional.jacobian(row_losses(run, state, 0), vector).double()  # type: ignore[no-untyped-call]
    draws = product(range(6), repeat=3) if replaced else combinations(range(6), 3)
    means = torch.stack([rows[list(draw)].mean(0) for draw in draws])
    expected = float((means - rows.mean(0)).square().sum(1).mean())
    assert measured(run, state)["batch_variance"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("pieces", [1, 4, 100])
def test_rows_in_order_make_the_batches_that_they_make(
    drop_last: bool, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not random ones: the rows of the article are sorted."""
    monkeypatch.setattr(derivatives, "PIECE_NUMBERS", pieces * 10)
    more: dict[str, Any] = {"sampling": "sequential", "data": {"rows": 11}}
    run, state = trained("minibatch", batch_size=4, drop_last=drop_last, **more)
    vector = torch.cat([tensor[0].flatten() for tensor in state.params])
    rows = torch.autograd.functional.jacobian(row_losses(run, state, 0), vector).double()  # type: ignore[no-untyped-call]
    batches = [rows[0:4], rows[4:8], rows[8:11]][: 2 if drop_last else 3]
    means = torch.stack([batch.mean(0) for batch in batches])
    expected = float((means - rows.mean(0)).square().sum(1).mean())
    assert measured(run, state)["batch_variance"] == pytest.approx(expected, rel=1e-4)


def test_runs_that_begin_at_the_same_weights_draw_other_batches() -> None:
    found = []
    for batch_size in (4, 5):
        config = configure("article", {**SMALL, "batch_size": batch_size})
        (run,) = plan_experiment("minibatch", config).runs
        found.append(measured(run, initial_state(run.problem, run.plan)))
    assert found[0]["row_variance"] == found[1]["row_variance"]
    assert found[0]["two_batch_variance"] != found[1]["two_batch_variance"]


def test_all_rows_have_no_noise() -> None:
    run, state = trained("full")
    assert measured(run, state)["batch_variance"] == 0


@pytest.mark.parametrize(
    ("settings_", "expected"),
    [
        ({"lr": 0.1}, 20.0),
        ({"lr": 0.1, "momentum": 0.9}, 38.0),
        ({"lr": 0.1, "momentum": 0.9, "nesterov": True}, 13.571428571),
        ({"lr": 0.1, "weight_decay": 0.5}, 19.5),
        ({"lr": 0.1, "optimizer": "adam", "weight_decay": 0.5}, 380.0),
        # Of update 6 of 6: s = 5/6 of the schedule.
        ({"lr": 0.1, "schedule": "linear"}, 120.0),
    ],
)
def test_the_limit_is_that_of_the_rate_of_the_last_update(
    settings_: dict[str, Any], expected: float
) -> None:
    run, state = trained("full", **settings_)
    assert measured(run, state)["stability_limit"] == pytest.approx(expected, rel=1e-6)


def test_before_training_the_limit_is_that_of_the_first_update() -> None:
    config = configure("article", {**SMALL, "schedule": "warmup+linear", "epochs": 100})
    (run,) = plan_experiment("full", config).runs
    found = measured(run, initial_state(run.problem, run.plan))
    warmed = run.plan.schedule.factors(torch.ones(1, dtype=torch.float64), 100)
    assert found["stability_limit"] == pytest.approx(2 / (0.2 * float(warmed[0])))


@pytest.mark.parametrize("settings_", OPTIMIZERS[3:], ids=lambda settings: settings["optimizer"])
def test_preconditioned_sharpness_is_that_of_the_divided_hessian(
    settings_: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, state = trained("full", epochs=9, **settings_)
    losses = row_losses(run, state, 0)
    vector = torch.cat([tensor[0].flatten() for tensor in state.params])
    hessian = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]
        lambda w: losses(w).mean(), vector
    ).double()
    optimizer = run.plan.optimizer
    factors = [f.squeeze(0) for f in optimizer.factors(torch.tensor([9.0], dtype=torch.float64))]
    buffers = [tuple(tensor.double() for tensor in buffer) for buffer in state.buffers]
    parts = optimizer.divisors(buffers, factors)
    assert parts
    divisors = torch.cat([part.flatten() for part in parts])
    decayed = hessian + optimizer.ridge * torch.eye(len(vector), dtype=torch.float64)
    values = torch.linalg.eigvals(decayed / divisors[:, None])  # not symmetric: the plain D⁻¹ H
    largest = float(values.real.max())
    assert float(values.imag.abs().max()) < 1e-6 * largest
    found = measured(run, state)
    assert found["preconditioned_sharpness"] == pytest.approx(largest, rel=1e-3)
    monkeypatch.setattr(sharpness, "EXACT", 0)
    monkeypatch.setattr("gdrun.diagnostics.probe.EXACT", 0)
    by_lanczos = measured(run, state)
    error = by_lanczos["preconditioned_error"] + 1e-4 * largest
    assert abs(by_lanczos["preconditioned_sharpness"] - largest) <= error


@pytest.mark.parametrize(("size", "spike"), [(600, 1.02), (10_000, 1.08), (100_000, 1.3)])
def test_one_direction_of_many_is_found_though_the_start_has_little_of_it(
    size: int, spike: float
) -> None:
    scales = torch.ones(size, dtype=torch.float64)
    scales[7] = spike

    def product(vector: Tensor) -> Work[Tensor]:
        yield
        return scales * vector

    found = finish(sharpness.largest_eigenvalue(product, size, 1e-3))
    assert found.value == pytest.approx(spike, rel=1e-6)


def test_before_the_first_update_nothing_is_divided() -> None:
    config = configure("article", {**SMALL, "optimizer": "adam"})
    (run,) = plan_experiment("full", config).runs
    found = measured(run, initial_state(run.problem, run.plan))
    assert "preconditioned_sharpness" not in found
    assert found["sharpness"] > 0


def test_of_weights_that_are_too_large_nothing_is_known() -> None:
    run, state = trained("full")
    for tensor in state.params:
        tensor.fill_(1e30)
    assert measured(run, state) == {}


@pytest.mark.parametrize("preset", ["diabetes", "moons"])
def test_drawn_noise_is_that_of_the_hessian_within_its_error(preset: str) -> None:
    """Random signs in the place of the whole Hessian: off by less than four standard errors."""
    (run,) = plan_experiment("full", configure(preset, {"hidden_size": [6]})).runs
    deviations = []
    for seed in range(20):
        loss = LaneLoss(run.problem, tuple(p[0] for p in run.problem.model.init([seed])))
        exact = finish(noise_scale(loss, finish(gradient_noise(loss, finish(loss.hessian())))))
        if math.isnan(exact.value):  # the gradient climbs no curvature
            continue
        signs = torch.Generator().manual_seed(seed)
        drawn = finish(noise_scale(loss, finish(gradient_noise(loss, signs=signs))))
        assert drawn.error > 0
        deviations.append((drawn.value - exact.value) / drawn.error)
    assert len(deviations) >= 10
    assert max(map(abs, deviations)) < 5
    assert abs(float(np.mean(deviations))) < 4 / math.sqrt(len(deviations))
    assert 0.4 < float(np.std(deviations)) < 2


@pytest.mark.parametrize("preset", ["diabetes", "moons", "hadamard"])
def test_two_batches_estimate_both_without_bias(preset: str) -> None:
    (run,) = plan_experiment("full", configure(preset, {})).runs
    loss = LaneLoss(run.problem, tuple(p[0] for p in run.problem.model.init([0])))
    exact = finish(gradient_noise(loss))
    draws = [
        finish(two_batches.two_batches(loss, torch.Generator().manual_seed(k))) for k in range(300)
    ]
    for name, expected in (("squared_norm", exact.squared_norm), ("variance", exact.variance)):
        values = np.array([getattr(draw, name) for draw in draws])
        error = values.std(ddof=1) / math.sqrt(len(values))
        assert abs(values.mean() - expected) < 4 * error
        assert error < 0.05 * expected


def test_pieces_of_rows_and_of_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run, state = trained("minibatch", batch_size=4)
    whole = measured(run, state)
    monkeypatch.setattr(derivatives, "PIECE_NUMBERS", 25)
    monkeypatch.setattr(derivatives, "MOST_VECTORS", 3)
    object.__setattr__(run.problem, "chunk_rows", 4)
    pieces = measured(run, state)
    drawn = ("two_batch_squared_norm", "two_batch_variance")  # of smaller batches
    for name, value in whole.items():
        if name not in drawn:
            assert pieces[name] == pytest.approx(value, rel=1e-4, abs=1e-6)
    assert noise.DRAWS >= noise.FEWEST_DRAWS
