"""Updates on a GPU: `python -m tests.benchmarks.gpu`.

Batches of 16 of the reference problem by a plain loop of PyTorch on the same GPU, by gdrun one by
one, and by gdrun's graphs, measured in turn; then 4,096 lanes beside one, and a large full batch
beside the products of matrices in it.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from gdrun.config.read import configure
from gdrun.experiment.plan.make import plan_experiment
from gdrun.training import graphs
from gdrun.training.loop import train
from gdrun.training.state import initial_state

ROUNDS = 5
ROWS, UNITS = 50_000, 256  # of the large full batch


def main() -> None:
    """Print a line for each comparison."""
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    rounds = [(plain(), one_by_one("minibatch"), update("minibatch")) for _ in range(ROUNDS)]
    show("batch 16, plain loop", [by_hand for by_hand, _, _ in rounds])
    show("batch 16, one by one", [single for _, single, _ in rounds])
    show("batch 16, graphs", [graph for *_, graph in rounds])
    show("plain loop / graphs", [by_hand / graph for by_hand, _, graph in rounds], unit=1)
    lanes = [(update("minibatch", seeds=4096, epochs=60), update("minibatch")) for _ in range(3)]
    show("4,096 lanes", [many for many, _ in lanes])
    show("4,096 lanes / one", [many / one for many, one in lanes], unit=1)
    large: dict[str, Any] = {"data": {"rows": ROWS}, "hidden_size": [UNITS, UNITS], "epochs": 60}
    full = [(update("full", **large), product()) for _ in range(3)]
    show(f"full batch, {ROWS:,} rows, {UNITS} and {UNITS} units", [one for one, _ in full])
    show("the same / three products of its largest matrices", [f / (3 * p) for f, p in full], 1)


def show(what: str, numbers: list[float], unit: float = 1e6) -> None:
    """Print a median and the range; microseconds for seconds."""
    scaled = sorted(number * unit for number in numbers)
    of = " µs" if unit == 1e6 else ""
    print(f"{what}: {median(scaled):.4g} ({scaled[0]:.4g} – {scaled[-1]:.4g}){of}", flush=True)


def update(method: str, **settings: Any) -> float:
    """The training time of an update by gdrun."""
    own = {"device": "cuda", "engine": "eager", "epochs": 700, **settings}
    config = configure({}, {**own, "eval_every": own["epochs"]})
    run = plan_experiment(method, config).runs[0]
    state = initial_state(run.problem, run.plan)
    for _ in train(run.problem, run.plan, state):
        pass
    return state.seconds / state.updates


def one_by_one(method: str) -> float:
    """The same without graphs."""
    with patch.dict(graphs.RECORDERS, clear=True):
        return update(method, epochs=200)


def plain(epochs: int = 200) -> float:
    """Seconds of an update as a user would write it."""
    x = torch.rand(100, 1, device="cuda")
    y = x**2
    network = nn.Sequential(nn.Linear(1, 10), nn.ReLU(), nn.Linear(10, 1)).cuda()
    optimizer, loss_of = torch.optim.SGD(network.parameters(), lr=0.1), nn.MSELoss()

    def epoch() -> None:
        order = torch.randperm(len(x), device="cuda")
        for batch in torch.split(order, 16):
            optimizer.zero_grad()
            loss_of(network(x[batch]), y[batch]).backward()
            optimizer.step()

    return timed(epoch, epochs) / 7


def product() -> float:
    """Seconds of a product of the large full batch's activations and weights, in float32."""
    x, w = torch.rand(ROWS, UNITS, device="cuda"), torch.rand(UNITS, UNITS, device="cuda")
    return timed(lambda: x @ w, 50)


def timed(do: Callable[[], object], times: int) -> float:
    """Seconds of one of several calls, after some to get going."""
    for _ in range(5):
        do()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        do()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / times


if __name__ == "__main__":
    main()
