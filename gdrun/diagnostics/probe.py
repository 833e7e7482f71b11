"""The probes: what is measured of one lane at the end of one epoch, by column of `probes.csv`."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.config.parts.probes import Probe
from gdrun.diagnostics.derivatives import LaneLoss, Work
from gdrun.diagnostics.noise import (
    GradientNoise,
    gradient_noise,
    noise_scale,
    variance_in_order,
)
from gdrun.diagnostics.sharpness import EXACT, Preconditioner, sharpness
from gdrun.diagnostics.two_batches import two_batches
from gdrun.results.events import Lane
from gdrun.results.rows import probe_columns as names
from gdrun.training.bookkeeping import scheduled_rates
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState

Measured = dict[str, float]  # by column; NaN where a number isn't known


@dataclass(frozen=True)
class LaneAtEpoch:
    """A lane at the end of an epoch, and what moves it.

    Attributes:
        loss: the train loss about its weights.
        plan: of its training.
        lane: which.
        epoch: which; 0 is before training.
        lr: the learning rate of the last update; at first, of the one that follows.
        divisors: what an adaptive optimizer divides its gradient by, (P,); None of others, and
            before the first update.
    """

    loss: LaneLoss
    plan: Plan
    lane: Lane
    epoch: int
    lr: float
    divisors: Tensor | None

    @property
    def draws(self) -> torch.Generator:
        """Random numbers that are the same whenever this lane is measured at this epoch.

        Runs that begin at the same weights draw other rows, so that their estimates tell more.
        """
        which = f"{self.lane.seed},{self.lane.lr!r},{self.plan.batch_size},{self.epoch}"
        digest = hashlib.blake2b(which.encode(), digest_size=7).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest))


def lane_at_epoch(problem: Problem, plan: Plan, state: TrainState, lane: int) -> LaneAtEpoch:
    """What a lane is like at a state, the end of an epoch."""
    rows, epoch = problem.data.rows, state.epoch
    divisors = None
    if plan.optimizer.is_adaptive and state.updates:
        last = torch.tensor([state.updates], dtype=torch.float64)
        factors = [factor.squeeze(0).float() for factor in plan.optimizer.factors(last)]
        buffers = [tuple(tensor[lane] for tensor in buffer) for buffer in state.buffers]
        parts = plan.optimizer.divisors(buffers, [f.to(state.params[0]) for f in factors])
        divisors = torch.cat([part.flatten() for part in parts]) if parts else None
    return LaneAtEpoch(
        loss=LaneLoss(problem, tuple(tensor[lane] for tensor in state.params)),
        plan=plan,
        lane=plan.lanes[lane],
        epoch=epoch,
        lr=scheduled_rates(plan, range(epoch, epoch + 1), rows)[lane][0],
        divisors=divisors,
    )


def measure(at: LaneAtEpoch, probes: Sequence[Probe]) -> Work[Measured]:
    """What some probes measure; nothing is known of weights whose gradient isn't finite."""
    loss = at.loss
    hessian = None
    if {"noise", "sharpness"} & {*probes} and len(loss.weights) <= EXACT:
        hessian = yield from loss.hessian()
        if not torch.isfinite(hessian).all():
            return {}
    found: Measured = {}
    if "gradient" in probes or "noise" in probes:
        signs = at.draws if hessian is None and "noise" in probes else None
        noise = yield from gradient_noise(loss, hessian, signs)
        if not math.isfinite(noise.squared_norm + noise.variance):
            return {}
        found |= yield from _gradient(at, noise)
        if "noise" in probes:
            found |= yield from _noise(at, noise)
    if "sharpness" in probes:
        found |= yield from _sharpness(at, hessian)
    return found


def _gradient(at: LaneAtEpoch, noise: GradientNoise) -> Work[Measured]:
    plan, rows = at.plan, at.loss.problem.data.rows
    if plan.sampling == "sequential" and plan.batch_size < rows:  # batches that aren't random
        batches = plan.updates_per_epoch(rows)
        variance = yield from variance_in_order(at.loss, noise, plan.batch_size, batches)
    else:
        replaced = plan.sampling == "replacement"
        variance = noise.of_batch(plan.batch_size, rows, replaced=replaced)
    return {names.GRADIENT_NORM: math.sqrt(noise.squared_norm), names.BATCH_VARIANCE: variance}


def _noise(at: LaneAtEpoch, noise: GradientNoise) -> Work[Measured]:
    curved = yield from noise_scale(at.loss, noise)
    other = yield from two_batches(at.loss, at.draws)
    return {
        names.SIMPLE_SCALE: noise.simple_scale,
        names.ROW_VARIANCE: noise.variance,
        names.CURVED_SCALE: curved.value,
        names.CURVED_SCALE_ERROR: curved.error,
        names.TWO_BATCH_NORM: other.squared_norm,
        names.TWO_BATCH_VARIANCE: other.variance,
    }


def _sharpness(at: LaneAtEpoch, hessian: Tensor | None) -> Work[Measured]:
    optimizer = at.plan.optimizer
    found = yield from sharpness(at.loss, hessian)
    measured = {names.SHARPNESS: found.value, names.SHARPNESS_ERROR: found.error}
    limit = optimizer.stability_limit(at.lr)
    if not optimizer.is_adaptive:
        return {**measured, names.LIMIT: limit - optimizer.ridge}
    if at.divisors is not None:
        own = Preconditioner(at.divisors, optimizer.ridge)
        divided = yield from sharpness(at.loss, hessian, own)
        measured[names.PRECONDITIONED] = divided.value
        measured[names.PRECONDITIONED_ERROR] = divided.error
    return {**measured, names.LIMIT: limit}
