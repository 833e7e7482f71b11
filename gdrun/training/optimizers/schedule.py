"""Schedules: by what the learning rates are multiplied, as training goes on.

A schedule is a function of the share of the training that is done, so that it is the same for all
batch sizes: s = (t − 1) / T before update t of T. Each begins at 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.config.parts.schedule import ScheduleConfig

# Shares that differ by less are equal, which rounding might hide; no training has as many updates.
TINY = 1e-12


@dataclass(frozen=True)
class Schedule:
    """A constant learning rate, after a warm-up if there is one.

    In the first share w of the training the learning rates rise linearly, t / (w T), and are never
    zero (Goyal et al. 2017). The schedule then runs through the rest of the training.
    """

    warmup: float = 0.0

    def factors(self, updates: Tensor, total: int) -> Tensor:
        """The factors of updates with such numbers, from 1, of so many in all; (U,) both."""
        rising = updates / (self.warmup * total)  # infinite without a warm-up
        done = (updates - 1) / float(total)  # which may be more than 64 bits hold
        share = (done - self.warmup) / (1 - self.warmup)
        return rising.clamp(max=1) * self.at_shares(share.clamp(min=0))

    def at_shares(self, share: Tensor) -> Tensor:
        """The factors where such shares of what follows the warm-up are done; (U,) both."""
        return torch.ones_like(share)


@dataclass(frozen=True)
class Linear(Schedule):
    """From 1 to `final` in a straight line."""

    final: float = 0.0

    def at_shares(self, share: Tensor) -> Tensor:
        """As above."""
        return 1 + (self.final - 1) * share


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 to `final` by half a cosine (Loshchilov & Hutter 2017, eq. 5, without restarts)."""

    final: float = 0.0

    def at_shares(self, share: Tensor) -> Tensor:
        """As above."""
        return self.final + (1 - self.final) * (1 + torch.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Step(Schedule):
    """Multiplied by `factor` once each of the shares `at`, which rise, is done."""

    at: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    def at_shares(self, share: Tensor) -> Tensor:
        """As above."""
        at = torch.tensor(self.at, dtype=share.dtype)
        # A product that is too large for a float is infinite, and the lane diverges.
        levels = torch.tensor([1.0, *[self.factor] * len(at)], dtype=share.dtype).cumprod(0)
        return levels[torch.searchsorted(at, share + TINY, right=True)]


@dataclass(frozen=True)
class Inverse(Schedule):
    """1 / (1 + k s), which is 1 / t where k is the number of updates (Robbins & Monro 1951)."""

    k: float = 10.0

    def at_shares(self, share: Tensor) -> Tensor:
        """As above."""
        return 1 / (1 + self.k * share)


CONSTANT = Schedule()
SCHEDULES: Mapping[str, type[Schedule]] = {
    "constant": Schedule,
    "linear": Linear,
    "cosine": Cosine,
    "step": Step,
    "inverse": Inverse,
}


def schedule_of(config: ScheduleConfig) -> Schedule:
    """The schedule that a config asks for; the keys of its section are the fields here."""
    own = {key: value for key, value in config if key != "name"}
    return SCHEDULES[config.name](**own)
