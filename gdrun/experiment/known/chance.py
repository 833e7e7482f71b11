"""Known answers of chance: what the mean of many trainings is, and what no order changes."""

from collections.abc import Sequence
from typing import Any

from gdrun.experiment.known.answer import Answer, Engine, train_losses, trained

SEEDS, SETTLED = 512, 20  # trainings, and the epochs after which their start is forgotten
SAMPLES = "five standard errors of 20,480 squares of normal numbers"


def _plateau(engine: Engine, **settings: Any) -> float:
    """How far the expected loss stays above the least, one row at a time on the mean estimation.

    Losses at the ends of epochs, 100 updates apart, hardly depend on each other.
    """
    losses = train_losses("sgd", "mean_estimation", engine, seeds=SEEDS, epochs=60, **settings)
    return float(losses[:, SETTLED + 1 :].mean() - 0.5)


def plateau(lr: float, momentum: float) -> float:
    """Half the variance of θ under SGD with momentum at curvature and gradient variance 1.

    ½ lr (1 + β) / [(1 − β)(2 (1 + β) − lr)], by the Lyapunov equation of its recursion.
    """
    return 0.5 * lr * (1 + momentum) / ((1 - momentum) * (2 * (1 + momentum) - lr))


def _orthogonal_factor(lr: float, batch_size: int, rows: int) -> float:
    return 1 - 2 * lr + lr**2 * (rows + batch_size - 1) / batch_size


def _orthogonal_rows(engine: Engine) -> float:
    losses = train_losses(
        "minibatch", "hadamard", engine, batch_size=8, lr=0.05, epochs=1, seeds=4096
    )
    return float(losses[:, 1].mean() / losses[:, 0].mean())


def _an_epoch_in_turns(engine: Engine) -> float:
    how = {"batch_size": 8, "lr": 8 / 64, "epochs": 1, "seeds": 16, "sampling": "reshuffle"}
    return float(train_losses("minibatch", "hadamard", engine, **how)[:, 1].max())


def _weighted_batch_loss(engine: Engine) -> float:
    how: dict[str, Any] = {"batch_size": 30, "lr": 1e-9, "epochs": 1, "sampling": "reshuffle"}
    (history,) = trained("minibatch", "mean_estimation", engine, **how).histories
    return float(history.epochs["batch_loss"][-1])


CHANCE: Sequence[Answer] = (
    Answer(
        "plateau of SGD with one row at a time on a mean, lr 0.1",
        "Lyapunov equation of the recursion",
        plateau(0.1, 0.0),
        0.05 * plateau(0.1, 0.0),
        SAMPLES,
        lambda engine: _plateau(engine, lr=0.1),
    ),
    Answer(
        "plateau of SGD with one row at a time on a mean, lr 0.1 and momentum 0.9",
        "Lyapunov equation of the recursion",
        plateau(0.1, 0.9),
        0.05 * plateau(0.1, 0.9),
        SAMPLES,
        lambda engine: _plateau(engine, lr=0.1, momentum=0.9),
    ),
    Answer(
        "plateau of SGD with one row at a time on a mean, lr 0.1 and Nesterov momentum 0.9",
        "Lyapunov equation of the recursion",
        0.32177 / 2,
        0.05 * 0.32177 / 2,
        SAMPLES,
        lambda engine: _plateau(engine, lr=0.1, momentum=0.9, nesterov=True),
    ),
    Answer(
        "share of the loss that 8 updates with 8 of 64 orthogonal rows leave",
        "McCandlish et al. 2018, eq. 2.7",
        _orthogonal_factor(0.05, 8, 64) ** 8,
        0.012,
        "four standard errors of 4,096 trainings",
        _orthogonal_rows,
    ),
    Answer(
        "loss after an epoch in which each of 64 orthogonal rows is seen once, lr B/d",
        "projections onto orthogonal rows",
        0.0,
        1e-10,
        "rounding of 32-bit floats",
        _an_epoch_in_turns,
    ),
    Answer(
        "mean of the losses of batches of 30, 30, 30 and 10 rows, by their sizes",
        "it is that of all rows, as the weights hardly move",
        1.0,
        1e-5,
        "lr 1e-9, and rounding of 32-bit floats",
        _weighted_batch_loss,
    ),
)
