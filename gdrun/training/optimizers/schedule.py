"""Schedules: by what the learning rates are multiplied, as training goes on.

A schedule is a function of the share of the training that is done, so that it is the same for all
batch sizes: s = (t − 1) / T before update t of T.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """A constant learning rate."""

    def factors(self, updates: Tensor, total: int) -> Tensor:  # noqa: ARG002
        """The factors of updates with such numbers, from 1, of so many in all; (U,) both."""
        return torch.ones_like(updates)


CONSTANT = Schedule()
