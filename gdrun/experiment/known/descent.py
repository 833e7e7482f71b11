"""Known answers without chance: gradient descent on quadratics, where each update is a formula.

On a quadratic of curvature λ, an update multiplies the error along it by 1 − lr·λ.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdrun.experiment.known.answer import Answer, Engine, train_losses

# A linear model on the diabetes data, all 442 rows standardised, with the loss ½r²; by numpy's
# eigenvalues of XᵀX/442 with a constant column, and its least squares.
LINEAR: dict[str, Any] = {"hidden_size": [], "loss": "half_mse", "data": {"val_fraction": 0.0}}
LARGEST, SMALLEST = 4.0242108, 0.0085607298  # eigenvalues of the Hessian
LEAST_SQUARES = 0.48225158  # the least mean squared error
BEST_RATE = 2 / (LARGEST + SMALLEST)
ONE_OVER_T = {"name": "inverse", "k": 100}  # over 100 updates
ROUNDING = "rounding of 32-bit floats"
# Heavy-ball momentum on these eigenvalues (Polyak 1964).
ROOTS = math.sqrt(LARGEST) + math.sqrt(SMALLEST), math.sqrt(LARGEST) - math.sqrt(SMALLEST)
HEAVY_BALL_RATE, HEAVY_BALL = 4 / ROOTS[0] ** 2, (ROOTS[1] / ROOTS[0]) ** 2


def _on_diabetes(engine: Engine, **settings: Any) -> NDArray[np.float64]:
    """The errors of the train losses above the least, epoch after epoch."""
    (losses,) = train_losses("full", "diabetes", engine, **LINEAR, **settings)
    errors: NDArray[np.float64] = losses - LEAST_SQUARES / 2
    return errors


def _least_squares(engine: Engine) -> float:
    return float(2 * _on_diabetes(engine, lr=BEST_RATE, epochs=6000)[-1] + LEAST_SQUARES)


def _largest_curvature(engine: Engine) -> float:
    """Beyond the limit, 2/λ, errors grow by lr·λ − 1 an update."""
    lr, first, last = 0.6, 50, 60
    errors = _on_diabetes(engine, lr=lr, epochs=last)
    return (1 + _per_update(errors, first, last)) / lr


def _best_contraction(engine: Engine) -> float:
    errors = _on_diabetes(engine, lr=BEST_RATE, epochs=800)
    return _per_update(errors, 400, 800)


def _heavy_ball(engine: Engine) -> float:
    """At the best momentum both ends are critically damped: errors fall as t·√β^t."""
    errors = _on_diabetes(engine, lr=HEAVY_BALL_RATE, momentum=HEAVY_BALL, epochs=100)
    return float(_per_update(errors, 60, 100) * (60 / 100) ** (1 / 40))


def _per_update(errors: NDArray[np.float64], first: int, last: int) -> float:
    """By what the weights' error was multiplied an update, by its square, that of the loss."""
    return float(math.sqrt(errors[last] / errors[first]) ** (1 / (last - first)))


def _mean(engine: Engine, method: Any = "full", **settings: Any) -> float:
    """The last train loss of the mean estimation, ½(θ − 1)² + ½, which begins at θ = 0."""
    return float(train_losses(method, "mean_estimation", engine, **settings)[0, -1])


def _by_cosine(updates: int) -> float:
    """The error after updates whose rates fall from ½ by half a cosine: Π(1 − lr_t)."""
    shares = (t / updates for t in range(updates))
    return math.prod(1 - 0.5 * (1 + math.cos(math.pi * share)) / 2 for share in shares)


DESCENT: Sequence[Answer] = (
    Answer(
        "least squares on the diabetes data, mean squared error",
        "normal equations, by numpy",
        LEAST_SQUARES,
        1e-6,
        ROUNDING,
        _least_squares,
    ),
    Answer(
        "the largest curvature there, by how fast gradient descent grows beyond 2/λ",
        "eigenvalues of XᵀX/N, by numpy",
        LARGEST,
        1e-4,
        f"the other eigenvalues' errors, (1.3/1.4)^120; {ROUNDING}",
        _largest_curvature,
    ),
    Answer(
        "contraction an update there at the best constant rate, (κ − 1)/(κ + 1)",
        "Polyak 1964",
        (LARGEST - SMALLEST) / (LARGEST + SMALLEST),
        1e-5,
        "errors along other eigenvalues after 400 updates",
        _best_contraction,
    ),
    Answer(
        "contraction an update there by heavy-ball momentum at its best, √β",
        "Polyak 1964",
        math.sqrt(HEAVY_BALL),
        2e-3,
        "terms of lower order in t after 60 updates",
        _heavy_ball,
    ),
    Answer(
        "gradient descent on one parameter: ½(1 − lr)^2t + ½ after 20 updates",
        "closed form",
        0.5 * 0.9**40 + 0.5,
        1e-6,
        ROUNDING,
        lambda engine: _mean(engine, lr=0.1, epochs=20),
    ),
    Answer(
        "rates 1/t, one row at a time: θ is the mean after an epoch",
        "Robbins & Monro 1951",
        0.5,
        1e-6,
        ROUNDING,
        lambda engine: _mean(
            engine,
            "sgd",
            lr=1.0,
            epochs=1,
            sampling="reshuffle",
            schedule=ONE_OVER_T,
        ),
    ),
    Answer(
        "rates that fall by half a cosine: the error is Π(1 − lr_t)",
        "Loshchilov & Hutter 2017, eq. 5",
        0.5 * _by_cosine(10) ** 2 + 0.5,
        1e-6,
        ROUNDING,
        lambda engine: _mean(engine, lr=0.5, epochs=10, schedule="cosine"),
    ),
    Answer(
        "weight decay d moves the minimum to mean/(1 + d)",
        "closed form",
        0.5 * (0.25 / 1.25) ** 2 + 0.5,
        1e-6,
        ROUNDING,
        lambda engine: _mean(engine, lr=0.1, epochs=400, weight_decay=0.25),
    ),
    Answer(
        "the first update of Adam is lr · sign of the gradient",
        "Kingma & Ba 2015, sec. 2.1",
        0.5 * 0.9**2 + 0.5,
        1e-6,
        f"ε = 1e-8 in the divisor; {ROUNDING}",
        lambda engine: _mean(engine, lr=0.1, epochs=1, optimizer="adam"),
    ),
)
