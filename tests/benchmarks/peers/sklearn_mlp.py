"""scikit-learn: `MLPRegressor(solver="sgd")` without momentum, penalty, shuffling or early stop.

What differs: its loss is half the mean squared error, so that it gets twice the learning rate for
the same updates; it can't drop an incomplete last batch, so that it gets the rows of whole ones; it
has an initialisation of its own, which a `partial_fit` makes and a warm start lets one replace.
"""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import Run, in_turn, main, timed
from tests.benchmarks.peers.problem import Problem, Weights

# That all epochs were made without "convergence" is what was asked for.
warnings.filterwarnings("ignore", category=ConvergenceWarning)


def train_one(job: Job, problem: Problem, start: Weights) -> Run:
    x, y = problem.x[: job.used_rows], problem.y[: job.used_rows].ravel()
    network = MLPRegressor(
        hidden_layer_sizes=(job.hidden,),
        solver="sgd",
        learning_rate_init=2 * job.lr,
        momentum=0,
        alpha=0,
        batch_size=job.batch_size,
        shuffle=False,
        max_iter=job.epochs,
        n_iter_no_change=job.epochs + 1,
        warm_start=True,
    )

    def warm_up() -> None:
        network.partial_fit(x[: job.batch_size], y[: job.batch_size])
        network.coefs_ = [start.w1.copy(), start.w2.copy()]
        network.intercepts_ = [start.b1.copy(), start.b2.copy()]

    spent = timed(job, warm_up, lambda: network.fit(x, y))
    (w1, w2), (b1, b2) = network.coefs_, network.intercepts_
    return Run(Weights(w1, b1, w2, b2), *spent)


def train(job: Job) -> Trained:
    return in_turn(job, train_one)


if __name__ == "__main__":
    main(train)
