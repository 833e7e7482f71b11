"""Predictions of a trained network for new rows, and how good they are where targets are known.

Shapes: N rows, B rows at a time, D features, O outputs, T targets, K classes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gdrun.data.preprocessing.new_rows import NewRows
from gdrun.experiment.trained.networks import TrainedNetworks
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem

PREDICTED, PROBABILITY = "predicted_", "probability_"
TEXT_ROWS = 10_000  # that are made text at once


@dataclass(frozen=True)
class Predictions:
    """What a network gives for new rows.

    Attributes:
        names: of the columns: one for each target; of classes the likeliest, then one for the
            probability of each.
        values: (N, T) in original units, or (N, K) probabilities; NaN of rows without a prediction.
        likeliest: of classes, the name of the likeliest in each row; empty without a prediction.
        scored: in how many rows the targets are known, too.
        score: over these the loss that the network was trained on, and its metrics, by name.
    """

    names: tuple[str, ...]
    values: Tensor
    likeliest: Sequence[str] | None
    scored: int
    score: Mapping[str, float]

    @property
    def lacking(self) -> int:
        """How many rows have no prediction."""
        return int(self.values.isnan().any(1).sum())

    def cells(self, decimal: str) -> Iterator[list[str]]:
        """The columns row by row as text, with the digits of 32 bits; empty where there is none.

        `decimal` is the decimal mark.
        """
        for start in range(0, len(self.values), TEXT_ROWS):
            values = self.values[start : start + TEXT_ROWS].numpy()
            texts = np.where(np.isnan(values), "", values.astype(str)).tolist()
            for row, own in enumerate(texts, start):
                numbers = own if decimal == "." else [text.replace(".", decimal) for text in own]
                yield numbers if self.likeliest is None else [self.likeliest[row], *numbers]

    @property
    def columns(self) -> dict[str, list[str | None] | list[float | None]]:
        """The columns by name; None where there is no prediction."""
        numbers: list[list[str | None] | list[float | None]] = [
            [None if lacks else value for value, lacks in zip(*pair, strict=True)]
            for pair in zip(self.values.T.tolist(), self.values.isnan().T.tolist(), strict=True)
        ]
        if self.likeliest is not None:
            numbers.insert(0, [name or None for name in self.likeliest])
        return dict(zip(self.names, numbers, strict=True))


@torch.no_grad()
def predict(
    networks: TrainedNetworks,
    params: Params,
    rows: NewRows,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Predictions:
    """The predictions of a network for rows.

    Args:
        networks: what was trained.
        params: the weights, those of a lane.
        rows: one in which a number is missing has no prediction.
        on_progress: called with the share that is done.

    Raises:
        DataError: a file of rows was cut short.
        UserCodeError: the user's network or loss raises an exception.
    """
    problem = networks.problem
    one_lane = tuple(p.unsqueeze(0) for p in params)
    found: list[Tensor] = []
    total, scored, done = torch.zeros(1 + len(problem.loss.metrics), dtype=torch.float64), 0, 0
    for x, y in rows.parts(problem.rows_at_once(1)):
        outputs = _outputs(problem, one_lane, x)
        found.append(_in_units(problem, outputs))
        if y is not None:
            known = ~y.isnan().any(1) & ~outputs.isnan().any(1)
            total += _losses(problem, outputs[known], y[known])
            scored += int(known.sum())
        done += len(x)
        on_progress(done / len(rows))
    values = torch.cat(found)
    names = [problem.loss.name, *(metric.name for metric in problem.loss.metrics)]
    score = dict(zip(names, (total / scored).tolist(), strict=True)) if scored else {}
    return Predictions(_names(problem), values, _likeliest(problem, values), scored, score)


def _outputs(problem: Problem, params: Params, x: Tensor) -> Tensor:
    """(B, D) in original units → (B, O); NaN of rows that are not all numbers."""
    scaling = problem.data.x_scaling
    inputs = (scaling.apply(x) if scaling else x).float()
    is_known = inputs.isfinite().all(1, keepdim=True)
    outputs = problem.model(params, inputs.where(is_known, 0.0).unsqueeze(0)).squeeze(0)
    return outputs.where(is_known & outputs.isfinite().all(1, keepdim=True), torch.nan)


def _in_units(problem: Problem, outputs: Tensor) -> Tensor:
    """Outputs, (B, O) → targets in original units, (B, T), or probabilities of classes, (B, K)."""
    probabilities = problem.loss.probabilities(outputs)
    if probabilities is not None:
        return probabilities
    scaling = problem.data.y_scaling
    return (scaling.invert(outputs.double()) if scaling else outputs).float()


def _losses(problem: Problem, outputs: Tensor, y: Tensor) -> Tensor:
    """The sums over rows of the loss and of the metrics; (1 + metrics,) in 64 bits."""
    if not len(y):
        return torch.zeros(1 + len(problem.loss.metrics), dtype=torch.float64)
    scaling, loss = problem.data.y_scaling, problem.loss
    targets = (scaling.apply(y) if scaling else y).float().unsqueeze(0)
    own = outputs.unsqueeze(0)
    means = [loss(own, targets).mean(), *(m.of_rows(own, targets).mean() for m in loss.metrics)]
    return torch.stack(means).double() * len(y)


def _names(problem: Problem) -> tuple[str, ...]:
    found = problem.data.preprocessing
    predicted = tuple(f"{PREDICTED}{name}" for name in found.targets)
    return (*predicted, *(f"{PROBABILITY}{name}" for name in found.classes))


def _likeliest(problem: Problem, values: Tensor) -> list[str] | None:
    """The name of the likeliest class of each row; None of quantities."""
    classes = problem.data.classes
    if not classes:
        return None
    lacks = values.isnan().any(1).tolist()
    places = values.nan_to_num().argmax(1).tolist()
    return ["" if no else classes[place] for place, no in zip(places, lacks, strict=True)]
