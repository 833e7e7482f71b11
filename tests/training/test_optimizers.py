"""Optimizers against those of torch.optim, and against what is known of their first update."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from inspect import signature
from itertools import repeat
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gdrun.config.parts.optimizer import OPTIMIZERS as OPTIMIZERS_BY_NAME
from gdrun.config.schema import RunConfig
from gdrun.results.events import Lane
from gdrun.training.batches import Batches
from gdrun.training.models.model import Params
from gdrun.training.optimizers.adagrad import Adagrad
from gdrun.training.optimizers.adam import Adam, AdamW
from gdrun.training.optimizers.build import build_optimizer
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.optimizers.rmsprop import RMSprop
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.optimizers.step import make_step
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, initial_state
from tests.problems import OPTIMIZERS, descend, make_plan, make_problem, step_losses

LANES = (Lane(0.01, 0), Lane(0.003, 1), Lane(0.0005, 2))
UPDATES = 200
CPU = torch.device("cpu")

betas = st.sampled_from([0.0, 0.5, 0.9, 0.99])
eps = st.sampled_from([1e-10, 1e-8, 1e-3])
decays = st.sampled_from([0.0, 0.01, 0.3])
adam_options = {
    "betas": st.tuples(betas, st.sampled_from([0.5, 0.99, 0.999])),
    "eps": eps,
    "weight_decay": decays,
    "amsgrad": st.booleans(),
}
optimizers: st.SearchStrategy[Optimizer] = st.one_of(
    st.builds(Adam, **adam_options),
    st.builds(AdamW, **adam_options),
    st.builds(
        RMSprop,
        alpha=st.sampled_from([0.5, 0.9, 0.99]),
        eps=eps,
        weight_decay=decays,
        momentum=betas,
        centered=st.booleans(),
    ),
    st.builds(
        Adagrad,
        lr_decay=st.sampled_from([0.0, 0.01, 1.0]),
        weight_decay=decays,
        initial_accumulator_value=st.sampled_from([0.0, 0.1]),
        eps=eps,
    ),
    st.builds(SGD, momentum=betas, weight_decay=decays),
)


def torch_optimizer(
    optimizer: Optimizer, weights: Sequence[Tensor], lr: float
) -> torch.optim.Optimizer:
    """That of the same name in torch.optim, with the same options."""
    options = asdict(optimizer)  # type: ignore[call-overload]
    found: torch.optim.Optimizer = getattr(torch.optim, type(optimizer).__name__)(
        weights, lr=lr, **options
    )
    return found


def random_gradients(seed: int) -> list[Params]:
    """Of two tensors of all lanes, in all updates; their sizes differ by orders of magnitude.

    In 64 bits: some options, as of centered RMSprop, make much of what 32 bits round.
    """
    generator = torch.Generator().manual_seed(seed)
    shapes = [(len(LANES), 4, 3), (len(LANES), 1, 3)]
    sizes = [torch.randn(shape, generator=generator).mul(3).exp() for shape in shapes]
    return [
        tuple((torch.randn(size.shape, generator=generator) * size).double() for size in sizes)
        for _ in range(UPDATES)
    ]


def state_of(optimizer: Optimizer, weights: Params) -> list[Params]:
    """The buffers before the first update."""
    return [
        tuple(torch.full_like(w, optimizer.start) for w in weights)
        for _ in range(optimizer.buffers)
    ]


@given(optimizer=optimizers, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
@example(optimizer=Adam(betas=(0.5, 0.5), eps=1e-10, weight_decay=0.3), seed=88)
def test_updates_are_those_of_torch(optimizer: Optimizer, seed: int) -> None:
    """Each from the same weights: rounding alone may drive two trainings apart.

    Where decay is nearly all of a gradient, Adam jumps to and fro about zero, as m/√v says: small
    differences then grow from update to update.
    """
    plan = make_plan(1, epochs=UPDATES, lanes=LANES, optimizer=optimizer)
    lr = torch.tensor([lane.lr for lane in LANES], dtype=torch.float64).view(-1, 1, 1)
    every_g = random_gradients(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    weights = tuple(torch.randn(g.shape, generator=generator).double() for g in every_g[0])
    buffers = state_of(optimizer, weights)
    torchs = [tuple(w[k].clone() for w in weights) for k in range(len(LANES))]
    others = [
        torch_optimizer(optimizer, lane, each.lr) for lane, each in zip(torchs, LANES, strict=True)
    ]
    factors = plan.factors_after(0, 1, CPU) or repeat(torch.ones(1))
    for update, (g, (of_lr, *own)) in enumerate(zip(every_g, factors, strict=False)):
        assert of_lr == 1
        optimizer.move(weights, buffers, (lr, lr), g, own)
        for k, lane in enumerate(torchs):
            for w, slopes in zip(lane, g, strict=True):
                w.grad = slopes[k].clone()
            others[k].step()
        tolerance = 1e-4 if update else 1e-6
        expected = tuple(torch.stack(lanes) for lanes in zip(*torchs, strict=True))
        torch.testing.assert_close(weights, expected, rtol=tolerance, atol=tolerance / 10)
        for k, lane in enumerate(torchs):
            for w, ours in zip(lane, weights, strict=True):
                w.copy_(ours[k])


@pytest.mark.parametrize("chunk", [None, 3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=str)
def test_training_is_that_of_torch(optimizer: Optimizer, chunk: int | None) -> None:
    problem = replace(
        make_problem(rows=23, features=3, hidden=(6,), activation="tanh"), chunk_rows=chunk
    )
    plan = make_plan(8, epochs=20, lanes=LANES, optimizer=optimizer, sampling="reshuffle")
    segments, state = descend(problem, plan)
    for k, lane in enumerate(LANES):
        weights = tuple(w[k : k + 1].clone().requires_grad_() for w in started(problem, plan))
        other = torch_optimizer(optimizer, weights, lane.lr)
        expected = []
        for epoch in range(1, plan.epochs + 1):
            for x, y, _, _ in Batches(replace(problem, chunk_rows=99), plan).chunks(epoch):
                loss = problem.losses(weights, x[k : k + 1], y[k : k + 1]).sum()
                other.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                other.step()
                expected.append(loss.item())
        assert step_losses(segments, k) == pytest.approx(expected, rel=1e-4, abs=1e-6)
        mine = tuple(w[k : k + 1] for w in state.params)
        torch.testing.assert_close(mine, tuple(map(Tensor.detach, weights)), rtol=1e-4, atol=1e-5)


def started(problem: Problem, plan: Plan) -> Params:
    return initial_state(problem, plan).params


@pytest.mark.parametrize("batch", [1, 5, 12])
@pytest.mark.parametrize(
    ("optimizer", "size"),
    [
        (Adam(eps=1e-20), 1.0),
        (Adam(eps=1e-20, betas=(0.5, 0.7), amsgrad=True), 1.0),
        (AdamW(eps=1e-20, weight_decay=0.0), 1.0),
        (Adagrad(eps=1e-20), 1.0),
        (RMSprop(eps=1e-20, alpha=0.99), 10.0),
    ],
    ids=str,
)
def test_the_first_step_is_of_the_gradients_sign_alone(
    optimizer: Optimizer, size: float, batch: int
) -> None:
    """lr · sign(g), whatever the batch (Kingma & Ba 2015); RMSprop divides by √(1 − alpha)."""
    problem = make_problem(rows=12, features=2, hidden=(4,), activation="tanh")
    plan = make_plan(batch, lanes=LANES, optimizer=optimizer, sampling="sequential")
    state = initial_state(problem, plan)
    before = state.clone().params
    x, y, _, _ = next(Batches(problem, plan).chunks(epoch=1))
    lr = plan.learning_rates(CPU)
    factors = plan.factors_after(0, problem.data.rows, CPU)
    make_step(problem.losses, optimizer, state.params, state.buffers, lr, factors)(x, y)
    leaves = tuple(w.clone().requires_grad_() for w in before)
    slopes = torch.autograd.grad(problem.losses(leaves, x, y).sum(), leaves)
    for old, new, g in zip(before, state.params, slopes, strict=True):
        steps = (old - new) / lr.view(-1, 1, 1)
        torch.testing.assert_close(steps, size * g.sign(), rtol=1e-3, atol=1e-3)


def test_adams_first_step_is_short_by_eps() -> None:
    g = torch.tensor([1e-9, 1e-8, 1e-3, 0.0]).view(1, 1, 4)
    (w,), optimizer = (torch.zeros(1, 1, 4),), Adam(eps=1e-8)
    factors = [f.float() for f in optimizer.factors(torch.tensor(1.0, dtype=torch.float64))]
    optimizer.move((w,), state_of(optimizer, (w,)), (torch.full((1, 1, 1), 0.5),), (g,), factors)
    torch.testing.assert_close(w, -0.5 * g / (g + 1e-8), rtol=1e-5, atol=0)


def test_a_gradient_that_never_changes_has_no_variance_below_zero() -> None:
    """Where torch.optim's centered RMSprop takes the root of less than zero."""
    optimizer, weights = RMSprop(alpha=0.9, centered=True), (torch.zeros(1, 1, 50),)
    g = (torch.rand(1, 1, 50, generator=torch.Generator().manual_seed(3)),)
    buffers, theirs = state_of(optimizer, weights), weights[0].clone()
    other = torch_optimizer(optimizer, [theirs], 1e-6)
    for _ in range(400):
        optimizer.move(weights, buffers, (torch.full((1, 1, 1), 1e-6),), g, [])
        theirs.grad = g[0].clone()
        other.step()
    assert not theirs.isfinite().all()
    assert weights[0].isfinite().all()


@pytest.mark.parametrize("name", OPTIMIZERS_BY_NAME)
def test_what_a_name_alone_means_is_what_it_means_in_torch(name: str) -> None:
    config = RunConfig.model_validate({"optimizer": name})
    optimizer = build_optimizer(config)
    kind = getattr(torch.optim, type(optimizer).__name__)
    assert kind.__name__.lower() == name
    usual = {key: p.default for key, p in signature(kind).parameters.items()}
    for option, value in asdict(optimizer).items():  # type: ignore[call-overload]
        assert value == usual[option]
    assert config.optimizer.usual_lr in (usual["lr"], None)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, SGD(0.9, True, 0.1)),
        (
            {"optimizer": {"name": "adam", "betas": [0.8, 0.9], "eps": 1e-5, "amsgrad": True}},
            Adam((0.8, 0.9), 1e-5, 0.0, True),
        ),
        ({"optimizer": "adamw", "weight_decay": 0.2}, AdamW(weight_decay=0.2)),
        (
            {
                "optimizer": {"name": "rmsprop", "alpha": 0.8, "eps": 1e-5, "centered": True},
                "momentum": 0.7,
                "weight_decay": 0.3,
            },
            RMSprop(0.8, 1e-5, 0.3, 0.7, True),
        ),
        (
            {
                "optimizer": {
                    "name": "adagrad",
                    "lr_decay": 0.1,
                    "initial_accumulator_value": 0.2,
                    "eps": 1e-5,
                    "weight_decay": 0.4,
                }
            },
            Adagrad(0.1, 0.4, 0.2, 1e-5),
        ),
    ],
)
def test_each_option_of_a_config_arrives(settings: dict[str, Any], expected: Optimizer) -> None:
    assert build_optimizer(RunConfig.model_validate(settings)) == expected
