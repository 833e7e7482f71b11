"""How long the probes of an experiment take: a piece of each kind of their work is timed."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.func import grad, vmap

from gdrun.diagnostics.derivatives import MOST_VECTORS, PIECE_NUMBERS, LaneLoss
from gdrun.diagnostics.noise import DRAWS
from gdrun.diagnostics.sharpness import EXACT
from gdrun.diagnostics.two_batches import LARGE
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan
from gdrun.training.problem import Problem

TIMES = 3  # that a piece of work is timed
LONG_PIECE = 1.0  # seconds of a piece, from which on it isn't timed again
TYPICAL_PRODUCTS = 30  # with the Hessian, until Lanczos' method is there


def probe_seconds(experiment: ExperimentPlan) -> float:
    """About how long all probes take that are left, one run after the other."""
    by_problem: dict[int, float] = {}
    total = 0.0
    for run in experiment.left:
        after = run.resumed.state.epoch if run.resumed and run.resumed.state.begun else -1
        if lanes := run.count_probes(after) * len(run.plan.lanes):
            if id(run.problem) not in by_problem:
                by_problem[id(run.problem)] = _seconds_of_lane(run)
            total += lanes * by_problem[id(run.problem)]
    return total


def _seconds_of_lane(run: RunPlan) -> float:
    """About how long one lane takes once, by pieces of the work at its first weights."""
    probes, problem = run.config.probes, run.problem
    params = problem.model.init([run.plan.lanes[0].seed])
    device = problem.data.x.device
    loss = LaneLoss(problem, tuple(tensor[0].to(device) for tensor in params))
    size, seconds = len(loss.weights), 0.0
    has_hessian = size <= EXACT and bool({"noise", "sharpness"} & {*probes})
    if has_hessian:
        seconds += _of_products(loss, size)
    if "gradient" in probes or "noise" in probes:
        pieces = max(1.0, problem.data.rows / loss.rows_in_piece)
        pieces *= 1 + (run.plan.sampling == "sequential")
        seconds += pieces * _timed(loss.row_gradients)
    if "noise" in probes:
        seconds += 2 * LARGE * _timed(loss.gradient) * _pieces(problem, 1)
        seconds += _of_products(loss, 1 if has_hessian else 1 + DRAWS)
    if "sharpness" in probes and not has_hessian:
        matrices = 1 + run.plan.optimizer.is_adaptive
        seconds += matrices * min(size, TYPICAL_PRODUCTS) * _of_products(loss, 1)
    return seconds


def _of_products(loss: LaneLoss, vectors: int) -> float:
    """About how long products of so many vectors with the Hessian take."""
    size = len(loss.weights)
    some = max(1, min(vectors, MOST_VECTORS, PIECE_NUMBERS // size))
    first = _timed(lambda: loss.hessian_products(torch.ones(some, size)))
    return first * _pieces(loss.problem, some) * vectors / some


def _pieces(problem: Problem, vectors: int) -> float:
    """In how many pieces all rows go through the network."""
    return max(1.0, problem.data.rows / problem.rows_at_once(vectors))


def _timed(work: Callable[[], Iterator[Any]]) -> float:
    """Seconds of the first piece of some work, the fewest of a few times.

    The first time warms up, and other work on the machine only ever slows one down.
    """
    vmap(grad(torch.sum))(torch.ones(2, 2))  # which loads what it needs, and that takes long
    fewest = math.inf
    for _ in range(TIMES):
        start = time.perf_counter()
        next(work(), None)
        fewest = min(fewest, time.perf_counter() - start)
        if fewest > LONG_PIECE:
            break
    return fewest
