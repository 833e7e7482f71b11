"""Known answers on the noise of gradients and on the curvature of a loss."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch

from gdrun.config.methods import with_method
from gdrun.config.read import configure, configured
from gdrun.diagnostics.derivatives import LaneLoss, finish
from gdrun.diagnostics.noise import gradient_noise, noise_scale
from gdrun.diagnostics.sharpness import sharpness
from gdrun.experiment.known.answer import Answer, Engine, trained
from gdrun.experiment.known.descent import LARGEST, LINEAR, ROUNDING
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.trained.networks import TrainedNetworks

# Of the linear model on the diabetes data at zero weights, by numpy's gradients of all rows.
SIMPLE_SCALE, CURVED_SCALE = 7.2784301, 3.9348755
EDGE_RATE = 0.1
BY_PYTORCH: tuple[Engine, ...] = ("eager",)


def _at(preset: str, value: float, **settings: Any) -> LaneLoss:
    """The train loss of a preset where all weights have a value."""
    (run,) = plan_experiment("full", configure(preset, settings)).runs
    (seed,) = {lane.seed for lane in run.plan.lanes}
    params = (tensor[0] for tensor in run.problem.model.init([seed]))
    return LaneLoss(run.problem, tuple(torch.full_like(tensor, value) for tensor in params))


def _at_the_edge(engine: Engine) -> float:
    """The mean sharpness at which full-batch descent ends, of eight seeds."""
    x = np.linspace(-1, 1, 20)
    rows = {"data": (x, 8 * x**4 - 8 * x**2 + 1), "standardize": False}
    network = {"hidden_size": [100], "activation": "tanh", "loss": "half_mse"}
    settings = {**rows, **network, "lr": EDGE_RATE, "epochs": 6000, "seeds": 8}
    result = trained("full", None, engine, **settings)
    (run,) = plan_experiment("full", with_method(configured(None, settings), "full")).runs
    networks = result.networks
    assert isinstance(networks, TrainedNetworks)
    weights = [networks.params(lane, last=True) for lane in range(len(result.lanes))]
    return fmean(finish(sharpness(LaneLoss(run.problem, own))).value for own in weights)


def _noise(preset: str, value: float, **settings: Any) -> tuple[float, float]:
    """Both noise scales of a preset where all weights have a value: the simple and the other."""
    loss = _at(preset, value, **settings)
    noise = finish(gradient_noise(loss, finish(loss.hessian())))
    return noise.simple_scale, finish(noise_scale(loss, noise)).value


def _answer(
    what: str, source: str, expected: float, tolerance: float, measure: Callable[[], float]
) -> Answer:
    """An answer that no training is needed for."""
    return Answer(
        what, source, expected, tolerance, ROUNDING, lambda _: measure(), engines=BY_PYTORCH
    )


CURVATURE: Sequence[Answer] = (
    _answer(
        "simple noise scale tr Σ / |G|² of a linear model on the diabetes data, at zero weights",
        "gradients of all rows, by numpy; McCandlish et al. 2018, eq. 2.9",
        SIMPLE_SCALE,
        1e-5,
        lambda: _noise("diabetes", 0.0, **LINEAR)[0],
    ),
    _answer(
        "noise scale tr(HΣ) / GᵀHG there",
        "gradients of all rows, by numpy; McCandlish et al. 2018, eq. 2.8",
        CURVED_SCALE,
        1e-5,
        lambda: _noise("diabetes", 0.0, **LINEAR)[1],
    ),
    _answer(
        "simple noise scale of 64 orthogonal rows, d − 1 at any weights",
        "|g_i|² = d u_i² for errors u_i along the rows",
        63.0,
        1e-3,
        lambda: _noise("hadamard", 0.3)[0],
    ),
    _answer(
        "sharpness of the linear model on the diabetes data, by Lanczos' method",
        "eigenvalues of XᵀX/N, by numpy",
        LARGEST,
        1e-5,
        lambda: finish(sharpness(_at("diabetes", 0.0, **LINEAR), tolerance=1e-7)).value,
    ),
    Answer(
        "edge of stability: sharpness where full-batch descent ends on T₄ at lr 0.1, 2/lr",
        "Cohen et al. 2021",
        2 / EDGE_RATE,
        1.0,
        "it hovers by some tenths, and seeds are at different points of that",
        _at_the_edge,
    ),
)
