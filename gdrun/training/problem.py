"""The problem: what a training minimises, on its device.

Shapes: R lanes, B batch rows, D features, O outputs, T columns of the target.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gdrun.config.parts.own_code import is_own
from gdrun.config.schema import RunConfig
from gdrun.data.dataset import Dataset
from gdrun.data.own.find import OwnFunction, find_function
from gdrun.errors import ConfigError, DataError, excerpt
from gdrun.training.device import find_device
from gdrun.training.losses.classification import BinaryCrossEntropy, CrossEntropy
from gdrun.training.losses.loss import Loss, Metric
from gdrun.training.losses.own import OwnLoss
from gdrun.training.losses.regression import Regression
from gdrun.training.models.model import Model, Params
from gdrun.training.models.own import OwnNetwork
from gdrun.training.models.own_checks import own_network
from gdrun.training.models.perceptron import Perceptron

# Activations of a chunk of rows, by the type of device: 4 MB on a processor.
CHUNK_NUMBERS = {"cpu": 2**20}
DEVICE_CHUNK_NUMBERS = 2**26
MIN_CHUNK_ROWS = 256  # below it, calls cost more than they compute


def mean_losses(model: Model, loss: Loss, params: Params, x: Tensor, y: Tensor) -> Tensor:
    """Mean loss over the rows, (R,), of each lane at its own weights; x is (R, B, D)."""
    return loss(model(params, x), y).mean((1, 2))


@dataclass(frozen=True)
class Problem:
    """What is minimised: a network on the rows of a data set, under a loss."""

    data: Dataset
    model: Model
    loss: Loss
    chunk_rows: int | None = None

    def rows_at_once(self, lanes: int) -> int:
        """How many rows go through the networks together: `chunk_rows`, or as many as is fastest.

        On a processor that is so many that their activations fit its cache, since products of
        matrices would otherwise wait for memory.
        """
        if self.chunk_rows:
            return self.chunk_rows
        numbers = CHUNK_NUMBERS.get(self.data.x.device.type, DEVICE_CHUNK_NUMBERS)
        return max(MIN_CHUNK_ROWS, numbers // (lanes * self.model.activations))

    def with_model(self, config: RunConfig) -> "Problem":
        """The same problem for the network of another config."""
        if is_own(config.model):  # the same for all
            return self
        model = build_model(config, self.data, self.loss)
        return self if model == self.model else replace(self, model=model)

    def to(self, device: torch.device) -> "Problem":
        """The same problem on a device."""
        if isinstance(self.model, OwnNetwork):
            self.model.to(device)
        return replace(self, data=self.data.to(device))

    @property
    def own_code(self) -> dict[str, OwnFunction]:
        """The functions of the user's that it consists of, by the key that names them."""
        found = {}
        if isinstance(self.model, OwnNetwork):
            found["model"] = self.model.function
        if isinstance(self.loss, OwnLoss):
            found["loss"] = self.loss.function
        if self.data.code:
            found["data"] = self.data.code
        return found

    def numbers_in(self, lanes: int, rows: int) -> int:
        """How many numbers so many rows of each lane have, features and targets."""
        return lanes * rows * (self.data.x.shape[1] + self.data.y.shape[1])

    def work(self, lanes: int, rows: int) -> int:
        """Multiply-adds of one pass of so many rows, or a chunk of them, through all lanes."""
        return lanes * min(rows, self.rows_at_once(lanes)) * self.model.parameters

    def measured(
        self, params: Params, x: Tensor, y: Tensor, metrics: Sequence[Metric] = ()
    ) -> Tensor:
        """Mean loss over the rows, as in `mean_losses`, then each of the metrics; (1 + …, R)."""
        if not metrics:
            return self.losses(params, x, y).unsqueeze(0)
        outputs = self.model(params, x)
        means = (metric.of_rows(outputs, y).mean(1) for metric in metrics)
        return torch.stack([self.loss(outputs, y).mean((1, 2)), *means])

    def losses(self, params: Params, x: Tensor, y: Tensor) -> Tensor:
        """Mean loss over the rows, as in `mean_losses`."""
        return mean_losses(self.model, self.loss, params, x, y)


def build_problem(config: RunConfig, data: Dataset) -> Problem:
    """The problem of a config, on its device; for `auto`, the processor.

    Raises:
        ConfigError: the device isn't there, there are hidden units but no features, or the user's
            network or loss can't be used.
        DataError: the loss is that of two classes, and there are more.
        UserCodeError: the user's code raises an exception.
    """
    device = find_device(config.device)
    if config.hidden_size and not data.features:
        raise ConfigError(
            f"hidden_size: {data.title} have no features that hidden units could work on",
            "set hidden_size to [], or start from the preset: --config mean_estimation",
        )
    loss = build_loss(config, data)
    model = build_model(config, data, loss)
    return Problem(data, model, loss, config.chunk_rows).to(device)


def build_loss(config: RunConfig, data: Dataset) -> Loss:
    """The loss of a config for some data.

    Raises:
        DataError: it is that of two classes, and there are more.
    """
    match config.loss:
        case "cross_entropy":
            return CrossEntropy(len(data.classes))
        case "bce":
            if len(data.classes) > 2:
                raise DataError(
                    f"loss: bce is for two classes, and the target {excerpt(data.target)} has "
                    f"{len(data.classes)}",
                    "loss: cross_entropy is for any number of them",
                )
            return BinaryCrossEntropy()
        case own if is_own(own):
            found = OwnLoss(find_function("loss", own, ("outputs", "targets")))
            found.check(data.y.shape[1])
            return found
        case name:
            return Regression(name)


def build_model(config: RunConfig, data: Dataset, loss: Loss) -> Model:
    """The network of a config for some data and a loss.

    Raises:
        ConfigError: the user's network can't be used.
        UserCodeError: the user's code raises an exception.
    """
    outputs = loss.outputs(data.y.shape[1])
    if is_own(config.model):
        function = find_function("model", config.model, ("features", "outputs"))
        return own_network(
            function, data.x.shape[1], outputs, _row_shape(config, data), config.seed
        )
    sizes = (data.x.shape[1], *config.hidden_size, outputs)
    return Perceptron(sizes, config.activation)


def _row_shape(config: RunConfig, data: Dataset) -> tuple[int, ...] | None:
    """The shape of a row as the user's network gets it.

    Raises:
        ConfigError: a row has another number of features.
    """
    shape, features = config.data.shape, data.x.shape[1]
    if shape is not None and math.prod(shape) != features:
        said = " × ".join(map(str, shape))
        raise ConfigError(
            f"data.shape: {said} = {math.prod(shape)} numbers, and a row of {data.title} has "
            f"{features}"
        )
    return shape
