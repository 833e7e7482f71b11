"""A network of the user's: any `nn.Module`, its weights those of the lanes.

Lanes are computed together by `torch.func`, where the module allows it, and else one by one.
Shapes: R lanes, B rows, D features, O outputs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gdrun.data.own.find import OwnFunction, user_code
from gdrun.training.models.model import Params

Forward = Callable[[Params, Tensor], Tensor]  # weights of one lane and (B, …) → (B, O)


@dataclass(frozen=True)
class OwnNetwork:
    """A module that a function of the user's makes; the same for every lane, but for its weights.

    Attributes:
        function: (D, O) → the module, called after `torch.manual_seed` of each lane.
        inputs, outputs: D and O.
        shape: of a row as the module gets it; None: (D,).
        seed: of what isn't trained in it, which is the same for all lanes.
        title: the class of the module.
        parameters, layers, activations, widest: as of any model.
        is_batched: whether lanes are computed together.
        template: one, whose weights are replaced by those of a lane.
        forward: the module's outputs for weights of one lane.
    """

    function: OwnFunction
    inputs: int
    outputs: int
    shape: tuple[int, ...] | None
    seed: int
    title: str
    parameters: int
    layers: int
    activations: int
    widest: int
    is_batched: bool
    template: nn.Module = field(compare=False, repr=False)
    forward: Forward = field(compare=False, repr=False)

    def init(self, seeds: Sequence[int]) -> Params:
        """Initial weights, one lane per seed: those of the module after `torch.manual_seed(seed)`.

        The global random state is left alone.
        """
        lanes = [weights_of(build(self.function, self.inputs, self.outputs, k)) for k in seeds]
        return tuple(torch.stack(tensors) for tensors in zip(*lanes, strict=True))

    def __call__(self, params: Params, x: Tensor) -> Tensor:
        """Outputs of all lanes: (R, B, D) → (R, B, O)."""
        rows = x if self.shape is None else x.reshape(*x.shape[:2], *self.shape)
        with user_code(self.function.name):
            if len(rows) == 1:
                return self.forward(tuple(p.squeeze(0) for p in params), rows.squeeze(0)).unsqueeze(
                    0
                )
            if self.is_batched:
                together: Tensor = vmap(self.forward)(params, rows)
                return together
            lanes = zip(zip(*(p.unbind() for p in params), strict=True), rows, strict=True)
            return torch.stack([self.forward(own, each) for own, each in lanes])

    def to(self, device: torch.device) -> None:
        """Move what isn't trained to a device; weights are where they are given.

        Those of the lanes that were computed last may still be in the template. They needn't be
        moved, and can't be if `vmap` made them.
        """
        for owner in self.template.modules():
            for name, own in owner._parameters.items():
                if own is not None and not isinstance(own, nn.Parameter):
                    owner._parameters[name] = nn.Parameter(torch.empty(0))
        self.template.to(device)

    def module(self, params: Params) -> nn.Module:
        """The user's module with the weights of one lane; it gets rows of its shape."""
        found = build(self.function, self.inputs, self.outputs, self.seed)
        with torch.no_grad():
            for (_, own), weight in zip(trained(found), params, strict=True):
                own.copy_(weight)
        return found if self.shape is None else nn.Sequential(nn.Unflatten(1, self.shape), found)

    def __str__(self) -> str:
        return f"{self.title} of {self.function.name}"


def build(function: OwnFunction, inputs: int, outputs: int, seed: int) -> nn.Module:
    """What the function returns after `torch.manual_seed`; the random state is left alone.

    Raises:
        UserCodeError: it raises an exception.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = function(inputs, outputs)
        return module


def trained(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that are trained, each once."""
    return ((name, own) for name, own in module.named_parameters() if own.requires_grad)


def weights_of(module: nn.Module) -> Params:
    """Copies of the weights of a module."""
    return tuple(own.detach().clone() for _, own in trained(module))


def forward_of(module: nn.Module) -> Forward:
    """The outputs of a module for other weights, by `torch.func.functional_call`."""
    names = [name for name, _ in trained(module)]

    def forward(params: Params, x: Tensor) -> Tensor:
        outputs: Tensor = functional_call(module, dict(zip(names, params, strict=True)), (x,))
        return outputs

    return forward


def forward_in_place(module: nn.Module) -> Forward:
    """The same, faster: the weights take the place of the module's parameters.

    That isn't seen by modules which keep references to their weights elsewhere.
    """
    names = {id(own): k for k, (_, own) in enumerate(trained(module))}
    places = [
        (owner._parameters, name, names[id(own)])
        for owner in module.modules()
        for name, own in owner._parameters.items()
        if own is not None and id(own) in names
    ]

    def forward(params: Params, x: Tensor) -> Tensor:
        for parameters, name, k in places:
            parameters[name] = params[k]  # type: ignore[assignment]
        outputs: Tensor = module(x)
        return outputs

    return forward
