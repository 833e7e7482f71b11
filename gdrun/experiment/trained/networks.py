"""The trained networks of the lanes of a run.

Shapes: R lanes, N rows, D features, O outputs, T targets.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from gdrun.data.dataset import Dataset
from gdrun.data.preprocessing.new_rows import given_rows
from gdrun.data.preprocessing.standardize import Scaling
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.state import TrainState


class Standardize(nn.Module):
    """Columns in original units → standardised: (v − mean) / deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.register_buffer("mean", scaling.mean)
        self.register_buffer("deviation", scaling.deviation)

    def forward(self, values: Tensor) -> Tensor:
        """(…, columns), computed in the type of the mean, 64 bits, and rounded to 32."""
        return ((values.to(self.mean.dtype) - self.mean) / self.deviation).float()


class Restore(Standardize):
    """Standardised columns → original units: z · deviation + mean."""

    def forward(self, values: Tensor) -> Tensor:
        """As `Standardize.forward`."""
        return (values.to(self.mean.dtype) * self.deviation + self.mean).float()


@dataclass(frozen=True)
class TrainedNetworks:
    """The weights that the lanes of a run have reached, and what they are weights of.

    Attributes:
        problem: the network and its loss; the data is without rows.
        last: the weights at the end, (R, …) each.
        best: those of the epochs with the lowest validation losses; empty if none were kept.
        best_epochs: which these are, R of them.
    """

    problem: Problem
    last: Params
    best: Params
    best_epochs: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem, state: TrainState) -> "TrainedNetworks":
        """Those of a training that has ended, or was stopped."""
        last, best = (tuple(p.cpu() for p in each) for each in (state.params, state.best.params))
        data = Dataset.without_rows(problem.data.preprocessing, problem.data.title)
        return cls(replace(problem, data=data), last, best, tuple(state.best.epochs))

    def params(self, lane: int, *, last: bool = False) -> Params:
        """The weights of a lane, (…) each: of its best epoch if they were kept, or of its last."""
        return tuple(p[lane] for p in (self.last if last else self.best or self.last))

    def predict(self, rows: Any, lane: int, *, last: bool = False) -> dict[str, list[Any]]:
        """The predictions of a lane's network for rows from Python, as columns by name.

        Raises:
            DataError: the rows can't be used.
        """
        from gdrun.experiment.trained.predict import predict

        new = given_rows(rows, self.problem.data.preprocessing)
        return dict(predict(self, self.params(lane, last=last), new).columns)

    def network(self, lane: int, *, last: bool = False) -> nn.Module:
        """The network of a lane, (N, D) → (N, O), in the units of the data.

        It is an `nn.Sequential` of three, `standardize`, `network` and `restore`, where the data
        was standardised.
        """
        network, data = self.problem.model.module(self.params(lane, last=last)), self.problem.data
        parts: OrderedDict[str, nn.Module] = OrderedDict(network=network)
        if data.x_scaling:
            parts["standardize"] = Standardize(data.x_scaling)
            parts.move_to_end("standardize", last=False)
        if data.y_scaling:
            parts["restore"] = Restore(data.y_scaling)
        return network if len(parts) == 1 else nn.Sequential(parts)
