"""Networks with a lane axis, their losses, and the problem: what a training minimises.

Shapes: R lanes, B batch rows, D features, H hidden width, O outputs. Every lane has its own
weights, stacked along the leading axis; lanes never interact, so one autograd pass gives each its
own gradient.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdrun.config.schema import Loss, RunConfig
from gdrun.data.dataset import Dataset
from gdrun.errors import ConfigError

Params = tuple[Tensor, ...]

# Activations of a chunk of rows, by the type of device: 4 MB on a processor.
CHUNK_NUMBERS = {"cpu": 2**20}
DEVICE_CHUNK_NUMBERS = 2**26
MIN_CHUNK_ROWS = 256  # below it, calls cost more than they compute

# In place where autograd allows it: the input of these is a fresh tensor that nothing else needs.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "gelu": F.gelu,
}

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    # Huber's loss is half the square up to delta; halving `mse_loss` would be one more operation.
    "half_mse": partial(F.huber_loss, delta=math.inf),
    "l1": F.l1_loss,
    "huber": F.huber_loss,
}


@dataclass(frozen=True)
class Network:
    """A multi-layer perceptron, the same for every lane: sizes (D, H, …, O) and an activation."""

    sizes: tuple[int, ...]
    activation: str

    def init(self, seeds: Sequence[int]) -> Params:
        """Initial weights, one lane per seed: (R, in, out) and (R, 1, out) for each layer.

        Lane k equals `torch.manual_seed(seeds[k])` followed by building the `nn.Linear` layers in
        order: weights and biases uniform in ±1/√in, and zero where there are no inputs
        (`nn.Linear.reset_parameters`). The global random state is left alone.
        """
        lanes = [self._init_lane(torch.Generator().manual_seed(seed)) for seed in seeds]
        return tuple(torch.stack(params) for params in zip(*lanes, strict=True))

    def _init_lane(self, generator: torch.Generator) -> list[Tensor]:
        params = []
        for inputs, outputs in pairwise(self.sizes):
            weight = torch.empty(outputs, inputs)
            bound = 0.0
            if inputs:
                nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
                bound = 1 / math.sqrt(inputs)
            bias = torch.empty(1, outputs).uniform_(-bound, bound, generator=generator)
            params += [weight.t().contiguous(), bias]
        return params

    def __call__(self, params: Params, x: Tensor) -> Tensor:
        """Outputs of all lanes: (R, B, D) → (R, B, O)."""
        activate = ACTIVATIONS[self.activation]
        last = len(params) - 2
        for k in range(0, last, 2):
            x = activate(torch.baddbmm(params[k + 1], x, params[k]))
        return torch.baddbmm(params[last + 1], x, params[last])

    @property
    def parameters(self) -> int:
        """Number of weights and biases of one lane."""
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))

    def __str__(self) -> str:
        if self.sizes[0] == 0:
            return "constant model"
        name = {"relu": "ReLU", "gelu": "GELU"}.get(self.activation, self.activation)
        layers = " → ".join(map(str, self.sizes))
        return f"{layers} {name} network" if len(self.sizes) > 2 else f"{layers} linear model"


def mean_losses(network: Network, loss_name: str, params: Params, x: Tensor, y: Tensor) -> Tensor:
    """Mean loss over the rows, (R,), of each lane at its own weights; x is (R, B, D)."""
    losses: Tensor = LOSSES[loss_name](network(params, x), y, reduction="none")
    return losses.mean((1, 2))


@dataclass(frozen=True)
class Problem:
    """What is minimised: a network on the rows of a data set, under a loss."""

    data: Dataset
    network: Network
    loss_name: Loss
    chunk_rows: int | None = None

    def rows_at_once(self, lanes: int) -> int:
        """How many rows go through the networks together: `chunk_rows`, or as many as is fastest.

        On a processor that is so many that their activations fit its cache, since products of
        matrices would otherwise wait for memory.
        """
        if self.chunk_rows:
            return self.chunk_rows
        numbers = CHUNK_NUMBERS.get(self.data.x.device.type, DEVICE_CHUNK_NUMBERS)
        return max(MIN_CHUNK_ROWS, numbers // (lanes * sum(self.network.sizes)))

    def with_hidden(self, sizes: tuple[int, ...]) -> "Problem":
        """The same problem for a network with other hidden layers."""
        first, *_, last = self.network.sizes
        network = replace(self.network, sizes=(first, *sizes, last))
        return self if network == self.network else replace(self, network=network)

    def work(self, lanes: int, rows: int) -> int:
        """Multiply-adds of one pass of so many rows, or a chunk of them, through all lanes."""
        return lanes * min(rows, self.rows_at_once(lanes)) * self.network.parameters

    def losses(self, params: Params, x: Tensor, y: Tensor) -> Tensor:
        """Mean loss over the rows, as in `mean_losses`."""
        return mean_losses(self.network, self.loss_name, params, x, y)


def build_problem(config: RunConfig, data: Dataset) -> Problem:
    """The problem of a config, on its device.

    Raises:
        ConfigError: the device isn't there, or there are hidden units but no features.
    """
    device = find_device(config.device)
    if config.hidden_size and not data.features:
        raise ConfigError(
            f"hidden_size: {data.title} have no features that hidden units could work on",
            "set hidden_size to [], or start from the preset: --config mean_estimation",
        )
    sizes = (data.x.shape[1], *config.hidden_size, data.y.shape[1])
    return Problem(
        data.to(device), Network(sizes, config.activation), config.loss, config.chunk_rows
    )


def find_device(name: str) -> torch.device:
    """The device that a config names; `auto` is the first of CUDA, MPS and the processor.

    Raises:
        ConfigError: it isn't there.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if gpus else "mps" if has_mps else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= gpus:
        found = f"{gpus} CUDA device{'s' if gpus > 1 else ''}" if gpus else "no CUDA device"
        raise ConfigError(
            f"device: {name} is not there: PyTorch {torch.__version__} finds {found}",
            "use device: cpu or auto"
            + (
                "" if torch.version.cuda else "; this PyTorch is built without CUDA, see the README"
            ),
        )
    if device.type == "mps" and not has_mps:
        raise ConfigError("device: mps is not there: it needs a Mac with Apple silicon", "use auto")
    return device
