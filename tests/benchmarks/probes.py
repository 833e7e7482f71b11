"""What probes take: `python -m tests.benchmarks.probes`.

One lane after ten epochs: all probes, beside the same quantities by plain autograd (the gradient of
each row in a loop, `torch.autograd.functional.hessian`, all eigenvalues), and beside what is said
of them before a training. The two are measured in turn; medians and ranges over the rounds.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from gdrun.config.read import configure
from gdrun.diagnostics.derivatives import finish
from gdrun.diagnostics.probe import lane_at_epoch, measure
from gdrun.experiment.cost.probes import probe_seconds
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.runs import RunPlan
from gdrun.training.loop import train
from gdrun.training.state import TrainState, initial_state

ROUNDS = 5
CASES: list[tuple[str, dict[str, Any]]] = [
    ("article", {}),
    ("diabetes", {}),
    ("spiral", {}),
    ("digits", {}),
    ("digits", {"optimizer": "adam", "lr": 0.001}),
    ("digits", {"hidden_size": [256, 256]}),
]
MOST_BY_HAND = 512  # weights, above which nobody computes a Hessian by hand


def main() -> None:
    """Print a line for each network."""
    for preset, settings in CASES:
        config = configure(preset, {"probes": "all", "epochs": 10, "probe_every": 10, **settings})
        experiment = plan_experiment("minibatch", config)
        (run,) = experiment.runs
        said = 1000 * probe_seconds(experiment) / run.count_probes()
        ours, plain = _in_turn(run)
        weights, rows = run.problem.model.parameters, run.problem.data.rows
        name = ", ".join([preset, *map(str, settings.values())])
        line = f"{name}: {weights:,} weights, {rows:,} rows: {_range(ours)} ms, said {said:.1f} ms"
        print(line + (f"; by hand {_range(plain)} ms" if plain else ""))


def _in_turn(run: RunPlan) -> tuple[list[float], list[float]]:
    """Milliseconds of all probes of a lane after a training, and by hand, round by round."""
    state = initial_state(run.problem, run.plan)
    for _ in train(run.problem, run.plan, state):
        pass

    def probe() -> object:
        return finish(measure(lane_at_epoch(run.problem, run.plan, state, 0), run.config.probes))

    ours, plain = [], []
    for _ in range(ROUNDS + 1):
        ours.append(_timed(probe))
        if run.problem.model.parameters <= MOST_BY_HAND:
            plain.append(_timed(lambda: _by_hand(run, state)))
    return ours[1:], plain[1:]  # the first warms up


def _by_hand(run: RunPlan, state: TrainState) -> None:
    """Gradients row by row, the Hessian, and its eigenvalues."""
    x, y = torch.as_tensor(run.problem.data.x[:]), torch.as_tensor(run.problem.data.y[:])
    params = tuple(tensor[:1].clone().requires_grad_() for tensor in state.params)
    for k in range(len(x)):
        loss = run.problem.losses(params, x[None, k : k + 1], y[None, k : k + 1]).sum()
        torch.autograd.grad(loss, params)
    vector = torch.cat([tensor.detach().flatten() for tensor in params])

    def whole(weights: Tensor) -> Tensor:
        parts = torch.split(weights, [tensor.numel() for tensor in params])
        own = tuple(part.view(tensor.shape) for part, tensor in zip(parts, params, strict=True))
        return run.problem.losses(own, x[None], y[None]).sum()

    hessian = torch.autograd.functional.hessian(whole, vector)  # type: ignore[no-untyped-call]
    torch.linalg.eigvalsh(hessian)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def _range(times: list[float]) -> str:
    return f"{median(times):.1f} ({min(times):.1f} to {max(times):.1f})"


if __name__ == "__main__":
    main()
