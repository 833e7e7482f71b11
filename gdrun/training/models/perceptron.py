"""The multi-layer perceptron.

Shapes: R lanes, B batch rows, D features, H hidden width, O outputs.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gdrun.training.models.model import Params

# In place where autograd allows it: the input of these is a fresh tensor that nothing else needs.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "gelu": F.gelu,
}

MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
}


@dataclass(frozen=True)
class Perceptron:
    """A multi-layer perceptron, the same for every lane: sizes (D, H, …, O) and an activation."""

    sizes: tuple[int, ...]
    activation: str

    @property
    def inputs(self) -> int:
        """D."""
        return self.sizes[0]

    @property
    def outputs(self) -> int:
        """O."""
        return self.sizes[-1]

    @property
    def parameters(self) -> int:
        """Number of weights and biases of one lane."""
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))

    @property
    def layers(self) -> int:
        """Linear layers."""
        return len(self.sizes) - 1

    @property
    def activations(self) -> int:
        """The units of all layers, inputs included."""
        return sum(self.sizes)

    @property
    def widest(self) -> int:
        """The units of the widest layer."""
        return max(self.sizes)

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

    def module(self, params: Params) -> nn.Sequential:
        """Its layers as modules of PyTorch, with the weights of one lane."""
        layers: list[nn.Module] = []
        for weight, bias in zip(params[::2], params[1::2], strict=True):
            layers += [_linear(weight, bias), MODULES[self.activation]()]
        return nn.Sequential(*layers[:-1])

    def __str__(self) -> str:
        if self.sizes[0] == 0:
            return "constant model"
        name = {"relu": "ReLU", "gelu": "GELU"}.get(self.activation, self.activation)
        layers = " → ".join(map(str, self.sizes))
        return f"{layers} {name} network" if len(self.sizes) > 2 else f"{layers} linear model"


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A layer with copies of the weights (in, out) and (1, out)."""
    inputs, outputs = weight.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no inputs, that there is nothing to draw
        layer = nn.Linear(inputs, outputs, device="meta")  # draws nothing
    layer.weight = nn.Parameter(weight.t().clone(memory_format=torch.contiguous_format))
    layer.bias = nn.Parameter(bias.squeeze(0).clone())
    return layer
